import pytest

from harmonic.training.hardware import Machine, Where, lightning_precision

V100, T4, A100, H200 = (7, 0), (7, 5), (8, 0), (9, 0)


@pytest.mark.parametrize(
    ("accelerator", "gpus", "cpu_has_bf16", "wanted"),
    [
        ("gpu", (V100,), True, "32-true"),
        ("auto", (T4,), True, "32-true"),
        ("cuda", (A100,), False, "bf16-mixed"),
        ("auto", (H200, H200), False, "bf16-mixed"),
        ("gpu", (H200, T4), False, "32-true"),
        ("cpu", (H200,), False, "32-true"),
        ("cpu", (T4,), True, "bf16-mixed"),
        ("auto", (), True, "bf16-mixed"),
        ("auto", (), False, "32-true"),
    ],
)
def test_auto_is_bfloat16_only_on_hardware_with_units_for_it(accelerator, gpus, cpu_has_bf16, wanted):
    assert lightning_precision("auto", Where(accelerator), Machine(gpus, cpu_has_bf16)) == wanted


@pytest.mark.parametrize("machine", [Machine(), Machine((T4,)), Machine((H200,), True)])
def test_a_precision_that_a_recipe_names_is_taken_anywhere(machine):
    assert lightning_precision("bf16", Where(), machine) == "bf16-mixed"
    assert lightning_precision("fp32", Where(), machine) == "32-true"


def test_the_machine_at_hand_is_found():
    torch = pytest.importorskip("torch")
    assert len(Machine.found().gpus) == torch.cuda.device_count()
