"""Train a small network on your own images, and evaluate it on what was held out.

    python examples/custom_dataset.py FOLDER --epochs 20

FOLDER has a folder of images for each class, FOLDER/anger/*.jpg, or those below train/, val/ and test/.
"""

import argparse
from pathlib import Path

from lnlattennet.evaluation import EvaluationOptions, evaluate
from lnlattennet.model import NetworkConfig
from lnlattennet.training import TrainingOptions, train

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", metavar="FOLDER")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--output", type=Path, default=Path("build/own.safetensors"))
    arguments = parser.parse_args()
    options = TrainingOptions(
        output=arguments.output,
        run_folder=arguments.output.with_suffix(""),
        network=NetworkConfig(image_size=64, widths=(16, 32, 48), channels=32),
        data=arguments.data,
        epochs=arguments.epochs,
        batch_size=16,
        learning_rate=2e-3,
        weight_decay=1e-2,
        seed=0,
    )
    train(options)
    figures = evaluate(EvaluationOptions(model=str(options.output), data=arguments.data)).document.figures
    accuracy = figures.accuracy
    print(f"accuracy {accuracy.value:.1%} (95% interval {accuracy.low:.1%} to {accuracy.high:.1%})")
    print(f"wrote {options.output}; next: export-engine --checkpoint {options.output} --output build/own")
