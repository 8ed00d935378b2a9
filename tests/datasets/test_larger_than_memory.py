"""A set several times larger than the memory of the process is split, hashed, learned and scored."""

import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenfold.images import encode_png

SIDE, COUNT = 128, 80_000  # 3.9 GB
LIMIT = 1_300_000_000  # of which Keras and torch take nearly half

CHILD = """
import json
import keras
from tenfold import machine, splits
from tenfold.batches import Batches, Epochs, held_data
from tenfold.config import Augmentation, Config
from tenfold.datasets.rows import Rows
from tenfold.evaluation import evaluate

settings = Config(data="set", image_size=SIDE, batch_size=256, augmentation=Augmentation(flip="random"))
told = []
parts = splits.read(settings, reading=lambda done, total: told.append((done, total)))
assert isinstance(parts.train.images, Rows)
assert isinstance(parts.validation.images, Rows)
splits.record(parts, settings)
layers = [keras.layers.Rescaling(1 / 255), keras.layers.GlobalAveragePooling2D()]
model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *layers, keras.layers.Dense(2, "softmax")])
model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
batches = Batches(parts.train, settings, one_hot=False)
held = held_data(parts.validation, 500, one_hot=False)
model.fit(batches, epochs=1, shuffle=False, validation_data=held, callbacks=[Epochs(batches)], verbose=0)
predict = lambda images: model.predict(images, batch_size=256, verbose=0)
found = {"accuracy": evaluate(predict, parts.validation).accuracy, "told": len(told)}
found["decoded"] = len(parts.train) * SIDE * SIDE * 3
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
found |= {name: int(status[name].split()[0]) * 1024 for name in ("VmData", "RssAnon")}
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="sets a limit that other systems do not keep")
def test_a_set_larger_than_memory(tmp_path):
    import json
    import resource

    random = np.random.default_rng(0)
    labels = random.integers(0, 2, COUNT)
    # Bright pictures and dark ones, a few hundred of each: quick to decode, large once they are.
    kinds = [
        [encode_png(random.integers(0, 156, (8, 8, 3), np.uint8) + np.uint8(100 * label)) for _ in range(300)]
        for label in range(2)
    ]
    pictures = [{"bytes": kinds[label][row % 300]} for row, label in enumerate(labels)]
    (tmp_path / "set").mkdir()
    pq.write_table(pa.table({"img": pictures, "label": labels}), tmp_path / "set" / "train.parquet")
    test = pa.table({"img": pictures[:10], "label": labels[:10]})
    pq.write_table(test, tmp_path / "set" / "test.parquet")

    def run():
        done = subprocess.run(
            [sys.executable, "-c", CHILD.replace("SIDE", str(SIDE))],
            cwd=tmp_path,
            env={**os.environ, "TENFOLD_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    first, second = run(), run()
    assert first["decoded"] > 2.5 * LIMIT
    assert first["RssAnon"] <= first["VmData"] < LIMIT
    assert first["accuracy"] > 0.95
    assert first["told"] > second["told"] == 0  # the second start finds everything decoded
    assert first["accuracy"] == second["accuracy"]
