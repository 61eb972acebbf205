"""A pretrained network trained further on few labelled images, harmonic against plain: the same images and recipe.

    python -m benchmarks.subset_further --data train.zip --test test.zip --out runs/subset-further

Both start from the same weights and give the same answers. The harmonic one's coefficients are larger numbers, so
AdamW wants another rate for them. A seed draws the images, the new head and the order. A run that was stopped goes on.
"""

import json
from pathlib import Path

from benchmarks.tables import head, line, on_one_thread, subset_arguments
from benchmarks.variants import compared
from harmonic.bundles import adopt, bundle
from harmonic.training import recipe
from harmonic.training.train import train
from harmonic.transfer.backbones import sizes

_NO_VALIDATION = ("data.validation=0", "train.patience=null", "train.temperature=false")  # the last epoch is tested


def main() -> None:
    parser = subset_arguments(__doc__ or "", "torchvision/squeezenet1_0", "convert", 96)
    parser.add_argument("--weights", type=Path, help="a file in place of the hub's")
    parser.add_argument("--rates", type=float, nargs=2, metavar=("PLAIN", "HARMONIC"), default=[3e-4, 1e-3])
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="as of `harmonic train`")
    asked = parser.parse_args()
    images, test = on_one_thread(asked)
    plain = adopt.open_network(asked.backbone, asked.weights, None, {})
    starts = {"plain": (plain, asked.rates[0]), "harmonic": (adopt.converted(plain)[0], asked.rates[1])}
    (pixels,) = sizes(plain.card.pixels, [asked.size])
    gains = []
    print(head(["images", "network"], asked.seeds))
    for limit in asked.limits:
        measured: dict[str, dict[int, float]] = {name: {} for name in starts}
        for seed in asked.seeds:
            for name, (start, rate) in starts.items():
                own_fields = [f"data.limit={limit}", f"train.seed={seed}", f"train.rate={rate}"]
                changes = [*_NO_VALIDATION, *own_fields, *asked.set]
                own = recipe.read_recipe("photographs-finetune", changes).model_copy(update={"pixels": pixels})
                done = train(own, images, asked.out / f"{name}-{limit}-{seed}", test=test, start=start)
                measured[name][seed] = bundle.read_card(done).metrics["test"]["top1"]
        for name, figures in measured.items():
            print(line([str(limit), name], figures.values()), flush=True)
        if len(asked.seeds) > 1:
            gains.append(f"{limit} images: " + compared("plain", measured["plain"], "harmonic", measured["harmonic"]))
        (asked.out / f"table-{limit}.json").write_text(json.dumps(measured, indent=2) + "\n")
    print("\n".join(gains))


if __name__ == "__main__":
    main()
