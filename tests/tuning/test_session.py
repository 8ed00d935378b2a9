"""A study at work: killed with SIGKILL half-way, it goes on and loses nothing but the running trial."""

from tenfold import runs
from tenfold.tuning.study import ENDED


def test_every_finished_trial_is_there_once(story):
    before = {trial.number: trial for trial in story.killed.trials if trial.state in ENDED}
    assert len(before) >= 2
    assert all(story.study.trials[number] == trial for number, trial in before.items())
    values = [tuple(trial.values.items()) for trial in story.study.trials if trial.state in ENDED]
    assert len(values) == len(set(values)) == story.study.settings.trials


def test_the_running_trial_is_tried_again(story):
    (running,) = [trial for trial in story.killed.trials if trial.state == "running"]
    assert story.study.trials[running.number].state == "lost"
    (again,) = [t for t in story.study.trials if t.values == running.values and t.state != "lost"]
    assert again.state in ENDED


def test_the_first_trial_has_the_settings_to_start_from(story):
    first = story.study.trials[0]
    assert first.first
    assert first.values == {name: each.start for name, each in story.study.settings.space.items()}
    assert story.study.best.accuracy >= first.accuracy


def test_the_best_model_is_kept_and_no_other(story):
    study, run = story.study, runs.open_run(story.study.path / "best")
    assert run.scores("validation")["accuracy"] == study.best.accuracy
    assert run.config.learning_rate == study.best.values["learning_rate"]
    assert not (study.path / "trials").exists()


def test_no_process_opens_a_test_picture(story):
    assert any("/train/" in name for name in story.opened)  # the watch sees what it should
    assert not [name for name in story.opened if "/test/" in name]
    assert runs.open_run(story.study.path / "best").looks == []
