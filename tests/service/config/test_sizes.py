"""Where the operator says nothing, a GPU gets what suits it; what the operator says counts everywhere."""

from service.config.plans import plan
from service.config.settings import Settings
from service.config.sizes import ON_CPU, ON_CUDA, told


def sizes(on_cuda: bool, **given: object) -> tuple[int | None, int, int]:
    made = plan(Settings(**given), "m", on_cuda=on_cuda)
    return made.instances, made.policy.max_size, made.policy.max_queue


def test_each_kind_of_device_has_defaults_of_its_own():
    assert sizes(False) == ON_CPU
    assert sizes(True) == ON_CUDA
    assert all(on_cuda > on_cpu for on_cpu, on_cuda in zip(ON_CPU[1:], ON_CUDA[1:], strict=True))
    assert (ON_CPU.instances, ON_CUDA.instances) == (None, 2)  # None: by the model, as it is loaded


def test_what_is_said_counts_on_every_device():
    given = {"instances": 3, "max_batch": 5, "max_queue": 7}
    assert sizes(True, **given) == sizes(False, **given) == (3, 5, 7)


def test_what_a_model_has_of_its_own_counts_on_a_gpu_too():
    assert sizes(True, policies={"m": {"max_size": 9, "instances": 4}}) == (4, 9, ON_CUDA.max_queue)


def test_the_settings_tell_both():
    assert told("max_queue") == "256; 4,096 on CUDA"
