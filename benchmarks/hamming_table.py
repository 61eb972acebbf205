"""Plain 3x3 against plain 7x7 against 7x7 with the window: matched parameters, same initialisation, same seeds.

    python -m benchmarks.hamming_table --data train.zip --test test.zip --out runs/hamming

Every run is resumable; the table is printed, as Markdown, from all of them.
"""

from benchmarks.variants import main

VARIANTS = {
    "7x7 Hamming": ("hamming_resnet18", {"kernel": 7, "window": True, "width": 0.0625}),
    "7x7 plain": ("hamming_resnet18", {"kernel": 7, "window": False, "width": 0.0625}),
    "3x3 plain": ("hamming_resnet18", {"kernel": 3, "window": False, "width": 0.145}),
}

if __name__ == "__main__":
    main(__doc__ or "", VARIANTS, "cifar10-hamming-resnet18-quick")
