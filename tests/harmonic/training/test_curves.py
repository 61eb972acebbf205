import subprocess
import sys

import pytest
from PIL import Image

from harmonic.training.curves import draw_curves

LOG = "epoch,val_loss,val_accuracy,train_loss,train_accuracy\n1,1.0,0.4,1.1,0.3\n2,0.8,0.6,0.9,0.5\n"
BARE = "epoch,train_loss,train_accuracy\n1,1.1,0.3\n"


@pytest.mark.parametrize("text", [LOG, BARE])
def test_a_log_becomes_a_picture(tmp_path, text):
    (tmp_path / "log.csv").write_text(text)
    draw_curves(tmp_path / "log.csv", tmp_path / "curves.png", title="a $run_1 $& more")
    with Image.open(tmp_path / "curves.png") as picture:
        picture.load()
        assert picture.format == "PNG"
        assert picture.convert("L").getextrema() != (255, 255)


def test_importing_it_or_training_leaves_the_importers_matplotlib_alone():
    """A notebook's own backend stays."""
    imports = "import harmonic.training.curves, harmonic.training.train"
    code = f"import matplotlib; matplotlib.use('svg'); {imports}; print(matplotlib.get_backend())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["svg"]


def test_equal_logs_are_equal_pictures(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    for name in ("a.png", "b.png"):
        draw_curves(tmp_path / "log.csv", tmp_path / name, title="t")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
