"""`rop figure`: slides of the pictures, and all figures in one command."""

import struct
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest
from matplotlib.text import Text

from rop.cli import PASS, figure, main
from rop.experiments import STUDIES
from rop.experiments.pictures import panels
from rop.show.pictures.slides import slide

SOURCE = "rop 0.1.0, MIT licence: rop figure 3"


@pytest.mark.ci
@pytest.mark.parametrize("scheme, lightness", [("light", 1.0), ("dark", 0.09)])
def test_slides_have_the_size_and_the_ground_asked_for(scheme, lightness, tmp_path):
    assert main(["figure", "3", "--slides", scheme, "--out", str(tmp_path)]) == PASS
    png = tmp_path / "figure3-slide.png"
    assert struct.unpack(">II", png.read_bytes()[16:24]) == (1920, 1080)
    corner = matplotlib.image.imread(png)[5, 5, :3]
    np.testing.assert_allclose(corner, lightness, atol=1 / 255)
    svg = ElementTree.parse(tmp_path / "figure3-slide.svg").getroot()
    assert svg.tag.endswith("svg")
    assert {"figure3.png", "numbers.json"} < {path.name for path in tmp_path.iterdir()}


def test_a_slide_can_be_read_at_the_back_and_says_where_it_is_from():
    picture, (left, right) = panels(2)
    left.plot([0, 1], [0, 1], color="k", marker="|", label="black")
    left.set_title("a title that is much too long for half of a slide, so it is broken", loc="left")
    left.legend(fontsize=6)
    slide(picture, "What it shows.", SOURCE, dark=True)
    texts = [text for text in picture.findobj(Text) if text.get_text()]
    assert {"What it shows.", SOURCE} <= {text.get_text() for text in texts}
    assert min(text.get_fontsize() for text in texts if text.get_text() != SOURCE) >= 10
    assert "\n" in left.get_title("left")
    assert left.lines[0].get_color() == left.lines[0].get_markeredgecolor() == (1.0, 1.0, 1.0, 1.0)
    assert right.get_facecolor()[0] < 0.1


def test_all_runs_every_study_for_its_share_of_the_time(tmp_path, monkeypatch, capsys):
    given = {}

    def run(study, seconds, arguments, folder, options):
        given[study.name] = seconds, folder, options

    monkeypatch.setattr(figure, "_run", run)
    total = sum(study.seconds for study in STUDIES.values())
    assert main(["figure", "all", "--seconds", str(total / 2), "--out", str(tmp_path)]) == PASS
    assert set(given) == set(STUDIES)
    for name, (seconds, folder, options) in given.items():
        assert seconds == pytest.approx(STUDIES[name].seconds / 2, rel=1e-12)
        assert folder == tmp_path / name
        assert options == STUDIES[name].options
