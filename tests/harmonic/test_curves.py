import pytest
from PIL import Image

from harmonic.curves import draw_curves

LOG = "epoch,val_loss,val_accuracy,train_loss,train_accuracy\n1,1.0,0.4,1.1,0.3\n2,0.8,0.6,0.9,0.5\n"
BARE = "epoch,train_loss,train_accuracy\n1,1.1,0.3\n"


@pytest.mark.parametrize("text", [LOG, BARE])
def test_a_log_becomes_a_picture(tmp_path, text):
    (tmp_path / "log.csv").write_text(text)
    draw_curves(tmp_path / "log.csv", tmp_path / "curves.png", title="a $run_1 & more")
    with Image.open(tmp_path / "curves.png") as picture:
        picture.load()
        assert picture.format == "PNG"
        assert picture.convert("L").getextrema() != (255, 255)


def test_drawing_leaves_no_figure_open(tmp_path):
    from matplotlib import pyplot as plt

    (tmp_path / "log.csv").write_text(LOG)
    draw_curves(tmp_path / "log.csv", tmp_path / "curves.png", title="t")
    assert plt.get_fignums() == []
