import sys
import types

from mmgen.training.tensorboard import Board, open_board


class Writer:
    def __init__(self, folder, purge_step):
        self.made, self.seen, self.closed = (folder, purge_step), [], False

    def add_scalar(self, name, value, step):
        self.seen.append((name, value, step))

    def close(self):
        self.closed = True


def test_numbers_go_to_tensorboard_where_it_is_installed(monkeypatch, tmp_path):
    module = types.ModuleType("torch.utils.tensorboard")
    made = []
    module.SummaryWriter = lambda folder, purge_step: made.append(Writer(folder, purge_step)) or made[-1]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    board = open_board(tmp_path, 7)
    board.write({"loss": 0.5, "note": "text", "flag": True, "nothing": None}, 8, "losses")
    board.close()
    assert made[0].made == (str(tmp_path), 7)
    assert made[0].seen == [("losses/loss", 0.5, 8)] and made[0].closed


def test_nothing_happens_without_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    board = open_board(tmp_path, 0)
    board.write({"loss": 0.5}, 1, "losses")
    board.close()
    assert not list(tmp_path.iterdir()) and isinstance(board, Board)
