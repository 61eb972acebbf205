"""`harmonic fit` on the few labelled images of `subset_table`: the same subsets, from a pretrained network.

    python -m benchmarks.subset_fit --data train.zip --test test.zip --out runs/subset-fit

The test images go through the backbone once, since only the last layer is learned; a run that was stopped goes on.
"""

import json
from pathlib import Path

import torch

from benchmarks.tables import head, line, on_one_thread, subset_arguments
from harmonic import data
from harmonic.bundles import Headed
from harmonic.data import Images
from harmonic.training.loaders import limited
from harmonic.transfer import Transferred, Wanted, fit, survey
from harmonic.transfer.features import features


def main() -> None:
    asked = subset_arguments(__doc__ or "", "starter", "fit", 224).parse_args()
    images, test = on_one_thread(asked)
    known = list(data.digests(test))
    measured: dict[int, dict[int, float]] = {}
    print(head(["images"], asked.seeds))
    for limit in asked.limits:
        for seed in asked.seeds:
            wanted = Wanted(asked.backbone, sides=(asked.size,), minutes=60, cache=asked.out / "features", seed=seed)
            made = fit(survey(limited(images, limit, seed)), wanted)
            measured.setdefault(limit, {})[seed] = accuracy(made, test, known, asked.out / "features")
        print(line([str(limit)], measured[limit].values()), flush=True)
        (asked.out / "table.json").write_text(json.dumps(measured, indent=2) + "\n")


def accuracy(made: Transferred, test: Images, known: list[bytes], cache: Path) -> float:
    """Top-1 of the whole classifier, by the features that go into its last layer."""
    headed = Headed(made.bundle, made.layer)
    rows = features(headed, test, known, cache, "Features of the test images")
    with torch.inference_mode():
        weight, bias = headed.head.weight.flatten(1).numpy(), headed.head.bias.numpy()
    return float(((rows @ weight.T + bias).argmax(1) == test.labels).mean())


if __name__ == "__main__":
    main()
