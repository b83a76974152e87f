"""Write reference_scores.json: what pysodmetrics, an implementation by others, says of the pairs in quality_cases.py.

    python3 -m venv build/reference && build/reference/bin/pip install pysodmetrics==1.6.2
    PYTHONPATH=tests build/reference/bin/python tests/unit/bench/make_reference_scores.py

In an environment of its own, because the package caps NumPy and OpenCV below the versions used here.
"""

import importlib
import json
from pathlib import Path

import numpy as np

from unit.bench.quality_cases import U8, cases


def main() -> None:
    """Score every pair by itself and write the table."""
    scores = {name: _scores(levels, alpha) for name, (levels, alpha) in cases().items()}
    target = Path(__file__).with_name("reference_scores.json")
    target.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")


def _scores(levels: U8, alpha: U8) -> dict[str, float]:
    package = importlib.import_module("py_sod_metrics")
    truth = alpha >= 128
    # The package goes back to levels by cutting decimals off: the trace added keeps 57 from becoming 56.
    predicted = np.minimum(levels / 255 * (1 + 1e-12), 1)

    def results(kind: str) -> dict[str, object]:
        scorer = getattr(package, kind)()
        scorer.step(predicted, truth, normalize=False)
        found: dict[str, object] = scorer.get_results()
        return found

    f_curve = np.asarray(results("Fmeasure")["fm"]["curve"])  # type: ignore[index]
    e_curve = np.asarray(results("Emeasure")["em"]["curve"])  # type: ignore[index]
    return {
        "mae": float(package.MAE().cal_mae(levels / 255, alpha / 255)),
        "max_f": float(f_curve.max()),
        "mean_f": float(f_curve.mean()),
        "mean_e": float(e_curve.mean()),
        "s": float(results("Smeasure")["sm"]),  # type: ignore[arg-type]
        "wf": float(results("WeightedFmeasure")["wfm"]),  # type: ignore[arg-type]
    }


if __name__ == "__main__":
    main()
