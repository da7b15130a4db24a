"""What a run writes while it works: log lines, validations, pictures, checkpoints, and its weights at the end."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from mmgen.models.weights import save_weights
from mmgen.training.batches import as_batch, batches_per_epoch, draw_batches
from mmgen.training.folder import METRICS, PICTURES, MetricsLog
from mmgen.training.pictures import photo_grid, template_turntable, write_png
from mmgen.training.session import Session
from mmgen.training.tensorboard import Board
from mmgen.training.validation import Validation, spread_choice, validate
from mmgen.work.callbacks import RunCallbacks
from recon.encoders import AttributeEncoder
from recon.training import parallel
from recon.training.collapse import collapse_warnings
from recon.training.loops import averaged_encoder, join_average
from recon.training.step import Batch

PICTURE_PHOTOS = 6
STATISTICS_BATCHES = 30
BOARD_FOLDER = "tensorboard"


class Recorder:
    """Writes a session's files; only process 0 does, the others keep step with it."""

    def __init__(self, session: Session, listener: RunCallbacks) -> None:
        self._session = session
        self._listener = listener
        self._writes = parallel.rank() == 0
        self._log: MetricsLog | None = None
        self._board: Board | None = None
        self._critic_gap: float | None = None
        self._validated_step = -1
        self.figures: dict[str, Any] = {}
        self.warnings: tuple[str, ...] = ()
        self.best = "last"

    def __enter__(self) -> "Recorder":
        if self._writes:
            session, path = self._session, self._session.folder.path
            session.folder.write_environment({"device": str(session.learner.device), "seed": session.order.seed})
            self._log = MetricsLog(path / METRICS, session.step)
            self._board = Board(path / BOARD_FOLDER, session.step, self._listener.note)
            self.best = "best" if session.folder.weights_path("best").is_file() and session.step else "last"
        return self

    def __exit__(self, *exception: object) -> None:
        if self._board is not None:
            self._board.close()

    def event(self, name: str, **values: Any) -> None:
        """One line of the log."""
        if self._log is not None:
            self._log.write(name, self._session.step, **values)
        self._plot(values, name)

    def losses(self, progress: float) -> None:
        """The means since the last such line."""
        session = self._session
        means = session.window.read()
        self._critic_gap = means.get("critic_gap")
        photos = session.plan.size * session.plan.processes * session.step
        self.event(
            "step",
            epoch=session.epoch,
            progress=progress,
            learning_rate=session.learner.optimiser.param_groups[0]["lr"],
            losses=means,
            seconds=round(session.clock.wall_s, 3),
            cpu_seconds=round(session.clock.cpu_s, 3),
            images_per_second=round(photos / max(session.clock.wall_s, 1e-9), 2),
        )
        self._plot(means, "losses")

    def _plot(self, values: Mapping[str, Any], prefix: str) -> None:
        if self._board is not None:
            self._board.write(values, self._session.step, prefix)

    def validation(self) -> None:
        """Score the held-out photos, warn of collapse, and keep the weights if they are the best so far."""
        session = self._session
        self._validated_step = session.step
        if not self._writes or not len(session.validation):
            return
        with session.clock.paused():
            result = validate(session.learner.encoder, self._held_out(), self._critic_gap)
            self._note_validation(result, "validation")
            if result.score > session.best_score:
                session.best_score = result.score
                self.best = "best"
                self._save(session.learner.encoder, "best", result)

    def pictures(self) -> None:
        """Draw the grid of photos and the prototype's turntable."""
        if not self._writes:
            return
        session = self._session
        folder = session.folder.path / PICTURES
        source = session.validation if len(session.validation) else session.store
        chosen = spread_choice(source, PICTURE_PHOTOS)
        with session.clock.paused():
            sample = as_batch(chosen.packed[:]).sample.to(session.learner.device)
            grid = photo_grid(session.learner.encoder, sample)
            write_png(folder / f"photos-{session.step:07d}.png", grid)
            size = (sample.image.shape[2], sample.image.shape[3])
            turned = template_turntable(session.learner.encoder.prototype, size)
            write_png(folder / f"template-{session.step:07d}.png", turned)

    def checkpoint(self) -> None:
        """Save the state, and the weights beside it."""
        session = self._session
        with session.clock.paused():
            parallel.average_statistics(session.learner.encoder)
            if self._writes:
                self._save(session.learner.encoder, "last")
                session.folder.save_state(session.state_dict())
            parallel.barrier()

    def finish(self) -> None:
        """Last validation, averaged weights, last checkpoint."""
        session = self._session
        if self._validated_step != session.step:
            self.validation()
        if session.manifest.averaging.kind != "off" and session.learner.average is None:
            join_average(session.learner, session.manifest.averaging)  # the run was too short for its interval
        if self._writes and session.learner.average is not None:
            fixed = session.manifest.step.fixed_statistics
            averaged = averaged_encoder(session.learner, None if fixed else self._training_batches())
            result = validate(averaged, self._held_out()) if len(session.validation) else None
            self._save(averaged, "averaged", result)
            if result is not None:
                self._note_validation(result, "averaged_validation")
                if result.score > session.best_score:
                    session.best_score = result.score
                    self.best = "averaged"
        self.pictures()
        self.checkpoint()

    def _held_out(self) -> Any:
        return spread_choice(self._session.validation, self._session.manifest.data.validation_photos)

    def _training_batches(self) -> Iterator[Batch]:
        session = self._session
        count = min(STATISTICS_BATCHES, batches_per_epoch(session.store, session.plan))
        for item in islice(draw_batches(session.store, session.plan, session.epoch), count):
            yield item.batch.to(session.learner.device)

    def _note_validation(self, result: Validation, event: str) -> None:
        self.figures = result.as_row()
        self.warnings = tuple(collapse_warnings(result.collapse))
        self.event(event, **self.figures, warnings=list(self.warnings))
        figures = result.figures
        self._listener.note(
            f"step {self._session.step}: held-out MaskIoU {figures['mask_iou']:.3f}, SSIM {figures['ssim']:.3f}, "
            f"azimuth spread {result.collapse.azimuth_spread_deg:.0f} degrees"
        )
        for warning in self.warnings:
            self._listener.note(f"warning: {warning}")

    def _save(self, encoder: AttributeEncoder, name: str, result: Validation | None = None) -> None:
        session = self._session
        about = {
            "metrics": {} if result is None else result.as_row(),
            "training": {
                "manifest": session.manifest.to_tables(),
                "seed": session.order.seed,
                "step": session.step,
                "photos": len(session.store),
            },
        }
        save_weights(session.folder.weights_path(name), encoder, session.template, about)
