import pytest
import torch

from recon.template import ellipsoid_template
from recon.texturing.cloth import BodyMap, continued, single_marks
from recon.texturing.layout import TexelLayout

ROWS, COLUMNS = 128, 64
HALF = ROWS // 2
NONE = torch.zeros(ROWS, COLUMNS)


@pytest.fixture(scope="module")
def body() -> BodyMap:
    layout = TexelLayout(ellipsoid_template(2), ROWS, COLUMNS)
    places = layout.padded(layout.over_texels(layout.template.vertices).T)
    return BodyMap.of(places, torch.ones(ROWS, COLUMNS, dtype=torch.bool))


@pytest.fixture
def front_seen() -> torch.Tensor:
    seen = torch.zeros(ROWS, COLUMNS)
    seen[HALF:, 4:-4] = 1
    return seen


def grey() -> torch.Tensor:
    return torch.full((3, ROWS, COLUMNS), 0.5)


def test_stripes_go_round_at_their_height(body, front_seen):
    photo = grey() + 0.2 * ((torch.arange(ROWS) // 3) % 2 * 2 - 1)[:, None]
    behind = continued(photo, front_seen, grey(), body, NONE)[:, :HALF].flip(1)
    trunk = slice(20, 56)
    assert (behind[:, trunk, 20:44] - photo[:, HALF:][:, trunk, 20:44]).abs().mean() < 0.05


def test_a_single_mark_stays_single(body, front_seen):
    photo = grey()
    photo[:, HALF + 24 : HALF + 36, 40:50] = 1.0
    behind = continued(photo, front_seen, grey(), body, NONE)[:, :HALF]
    assert (behind - 0.5).abs().max() < 0.12


def test_a_mark_that_reaches_over_the_middle_is_found_whole_and_not_continued(body, front_seen):
    """Even where the guess has caught its colour. The two halves of a coat of two colours are no marks."""
    photo, red = grey(), torch.tensor([0.9, 0.1, 0.1])[:, None, None]
    place = (slice(HALF + 24, HALF + 36), slice(29, 46))
    photo[(slice(None), *place)] = red
    marks = single_marks(photo, front_seen, body)
    assert marks[HALF + 26 : HALF + 34, 32:44].min() > 0.9 and marks[HALF + 44 : HALF + 56].max() < 0.05
    guess = grey() + 0.4 * (red - grey())
    kept = continued(photo, front_seen, guess, body, NONE)[0, :HALF].max()
    assert continued(photo, front_seen, guess, body, marks)[0, :HALF].max() < kept - 0.05
    coat = grey()
    coat[:, :, :32] = red
    assert single_marks(coat, front_seen, body).max() < 0.05


def test_an_opening_in_the_middle_is_closed_behind(body, front_seen):
    photo = grey() * 0.4
    photo[:, HALF + 16 : HALF + 50, 28:36] = 0.9
    guess = grey() * 0.6
    behind = continued(photo, front_seen, guess, body, NONE)[:, :HALF].flip(1)
    assert behind[:, 24:44, 28:36].mean() < 0.35


def test_a_face_is_not_repeated_and_hair_is(body, front_seen):
    photo, guess = grey(), grey()
    photo[:, HALF : HALF + 20] = torch.tensor([0.9, 0.7, 0.6])[:, None, None]
    photo[:, HALF:][:, body.crown[HALF:]] = 0.1
    behind = continued(photo, front_seen, guess, body, NONE)[:, :HALF]
    assert behind[:, body.scalp[:HALF] > 0.9].mean() < 0.2


def test_nothing_seen_is_all_guess(body):
    guess = torch.rand(3, ROWS, COLUMNS)
    assert torch.equal(continued(torch.zeros_like(guess), torch.zeros(ROWS, COLUMNS), guess, body, NONE), guess)


def test_what_is_far_from_the_guess_is_not_taken(body, front_seen):
    """Red in front of someone whose back is said to be blue, on one side only: the guess stays."""
    photo = grey()
    photo[:, HALF:, :28] = torch.tensor([0.9, 0.1, 0.1])[:, None, None]
    guess = torch.tensor([0.1, 0.1, 0.9])[:, None, None].expand(3, ROWS, COLUMNS).contiguous()
    behind = continued(photo, front_seen, guess, body, NONE)[:, 8:40]
    assert (behind[2] > 0.7).all()
