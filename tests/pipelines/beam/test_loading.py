"""Beam is loaded without its connectors, and they are there for whoever imports them."""

from __future__ import annotations

import subprocess
import sys

from prefdata.pipelines.beam.loading import SAMPLING_MS

CODE = """
import sys
from prefdata.pipelines.beam.loading import load_beam
load_beam()
assert "apache_beam.runners.direct" in sys.modules
assert not {"pandas", "pymongo", "apache_beam.io.gcp.bigquery"} & set(sys.modules)
import pandas
assert pandas.DataFrame
from apache_beam.io.mongodbio import ReadFromMongoDB
from apache_beam.io.gcp.bigquery import ReadFromBigQuery
assert ReadFromMongoDB and ReadFromBigQuery
"""


PERIOD = """
from prefdata.pipelines.beam.loading import load_beam
load_beam()
from apache_beam.runners.worker.statesampler import StateSampler
from apache_beam.utils.counters import CounterFactory
print(StateSampler("a bundle", CounterFactory()).sampling_period_ms)
"""


def test_what_is_left_out_can_be_imported_later() -> None:
    subprocess.run([sys.executable, "-c", CODE], check=True)


def test_a_bundle_ends_soon_after_its_last_element() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PERIOD], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == SAMPLING_MS
