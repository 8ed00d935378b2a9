"""What a run shows without a question asked."""

import json

from tenfold.explanation import Explainer


def test_it_has_filters_maps_and_points(explainer, run):
    found = explainer.overview()
    assert found.split == "validation"
    assert found.filters.shape == (32, 3, 3, 3)
    assert len(found.images) == 4
    assert found.maps[0].shape == (4, 30, 30, 8)
    ids = set(run.splits["splits"]["validation"]["ids"])
    assert found.points.shape == (len(ids), 2)
    assert set(found.ids) == ids
    assert (found.labels == found.predicted).mean() > 0.5
    assert not found.notes
    said = json.loads(json.dumps(found.to_dict()))
    assert len(said["points"]) == len(said["ids"]) == len(said["labels"])


def test_without_the_data_it_shows_what_the_run_kept(copy, forget_data):
    forget_data(copy)
    found = Explainer(copy).overview()
    assert found.notes[0].startswith("The map of the features is left out. ")
    assert len(found.points) == 0
    assert len(found.images) == 4
    assert found.maps
