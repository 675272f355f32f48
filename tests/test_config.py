"""What is wrong with a configuration is said in one line, with exit code 2, before anything is written."""

from pathlib import Path
from typing import Any

import pytest

from harness.config import parse
from harness.errors import ConfigError

MINE = "+tta.mine.views="

# The command line, and what its one line must say.
MISTAKES = [
    ("tta=hflipp", "did you mean hflip"),
    ("tta=[hflip,suite/quik]", "did you mean suite/quick"),
    ("tta=[hflip,d5]", "did you mean d4"),
    ("dataset=cifar11", "did you mean cifar10 or cifar100"),
    ("model=smal_cnn", "did you mean small_cnn"),
    ("augmentation=flp", "did you mean flip"),
    ("tracking=nnoe", "did you mean none"),
    ("traning.epochs=1", "did you mean training.epochs"),
    ("training.epoch=1", "did you mean training.epochs"),
    ("sed=1", "did you mean seed"),
    ("+training.epoch=1", "did you mean training.epochs"),
    ("dataset.limit_tst=3", "did you mean dataset.limit_test"),
    ("dataset=npz dataset.pth=x", "did you mean dataset.path"),
    ("model=checkpoint model.pth=x", "did you mean model.path"),
    ("tta.hflip.agregation=vote", "did you mean tta.hflip.aggregation"),
    ("tta.hflipp.aggregation=vote", "did you mean tta.hflip?"),
    ("+tta.mine.views=[identity] +tta.mine.agregation=vote", "did you mean tta.mine.aggregation"),
    ("evaluation.critrion=nll", "did you mean evaluation.criterion"),
    ("training.epochs=-1", "training.epochs=-1"),
    ("training.epochs=many", "training.epochs='many'"),
    ("training.learning_rate=nan", "finite"),
    ("training.learning_rate=-0.1", "greater than 0"),
    ("evaluation.level=inf", "finite"),
    ("evaluation.level=2", "less than 1"),
    ("evaluation.resamples=1", "greater than or equal to 100"),
    ("evaluation.criterion=acc", "'accuracy'"),
    ("evaluation.seed=-1", "greater than or equal to 0"),
    ("dataset.seed=-1", "greater than or equal to 0"),
    ("seed=-1", "greater than or equal to 0"),
    ("seed=1.5", "valid integer"),
    ("seed=", "valid integer"),
    ("seed=null", "valid integer"),
    ("engine=fst", "'exact' or 'fast'"),
    ("batch_size=0", "greater than 0"),
    ("dataset.limit_test=0", "greater than 0"),
    ("dataset.train_fraction=0", "greater than 0"),
    ("dataset.train_fraction=1.5", "less than or equal to 1"),
    ("dataset.validation_fraction=nan", "finite"),
    ("dataset.validation_fraction=1.5", "less than 1"),
    ("seed=1,2", "-m"),
    ("tta=hflip,d4", "tta=[hflip,d4]"),
    ("tta=", "at least one policy"),
    ("tta=[]", "at least one policy"),
    ("tta=null", "at least one policy"),
    ("dataset=null", "dataset takes one choice"),
    ("dataset=[digits,fashion_mini]", "dataset takes one choice"),
    ("training=null", "training takes one choice"),
    ("dataset=image_folder", "dataset.path"),
    ("dataset=npz", "dataset.path"),
    ("model=checkpoint", "model.path"),
    ("model=checkpoint model.path=nope.keras", "nope.keras"),
    ("dataset=npz dataset.path=nope.npz", "nope.npz"),
    ("dataset=image_folder dataset.path=nope", "nope"),
    ("dataset.kind=foo", "unknown data set 'foo'"),
    ("model.kind=smal_cnn", "did you mean small_cnn"),
    ("augmentation.kind=flp", "did you mean flip"),
    ("augmentation=flip augmentation.arguments.vertcal=true", "vertical"),
    ("dataset=npz dataset.path=x dataset.keys={x_tset:images}", "x_tset"),
    ("dataset=npz dataset.path=x dataset.kyes.x_test=images", "did you mean dataset.keys"),
    ("tta.hflip.aggregation=men_probs", "did you mean mean_probs"),
    ("tta.hflip.aggregation=[mean_probs,voet]", "did you mean vote"),
    ("tta.hflip.aggregation=[]", "at least one aggregation"),
    ("tta.hflip.aggregation={kind:gps,budgt:3}", "did you mean budget"),
    ("tta.hflip.aggregation={budget:3}", "a mapping with `kind`"),
    ("tta.identity.views=[horizontal_flip]", "'identity' is kept"),
    (MINE + "[horizontal_flp]", "did you mean horizontal_flip"),
    (MINE + "[{kind:rotate}]", "needs degrees"),
    (MINE + "[{kind:rotate,degrees:abc}]", "degrees must be a number"),
    (MINE + "[{kind:rotate,degres:3}]", "did you mean degrees"),
    (MINE + "[{kind:rotate,degrees:nan}]", "degrees must be a number"),
    (MINE + "[{kind:zoom,factor:-1}]", "factor must be a number"),
    (MINE + "[{kind:random_flip,copies:-1}]", "copies"),
    (MINE + "[{kind:random_flip,copies:many}]", "copies"),
    (MINE + "[{kind:random_flip,copies:1.5}]", "copies"),
    (MINE + "[{kind:horizontal_flip,copies:3}]", "not random"),
    (MINE + "[{kind:random_affine,rotation_range:9,copies:all}]", "infinitely many"),
    (MINE + "[[{kind:random_flip,copies:all},{kind:random_flip,copies:2,seed:1}]]", "or `all`"),
    (MINE + "[horizontal_flip] +tta.mine.view_seeds=[0,1]", "needs a random transform"),
    (MINE + "[{kind:random_flip}] +tta.mine.view_seeds=[-1]", "greater than or equal to 0"),
    (MINE + "[{kind:random_flip}] +tta.mine.view_seeds=[16777216]", "less than 16777216"),
    (MINE + "[horizontal_flip] +tta.mine.up_to=0", "greater than or equal to 1"),
    (MINE + "[horizontal_flip] +tta.mine.up_to=2 +tta.mine.aggregation=vote", "leave aggregation out"),
    ("dataset.deny=[horizontl_flip]", "did you mean horizontal_flip"),
    ("corruption=gausian_noise", "did you mean gaussian_noise"),
    ("corruption=fog severity=6", "severity.0=6: input should be less than or equal to 5"),
    ("corruption=fog severity=high", "severity.0='high'"),
    ("corruption=fog severity=[]", "at least 1"),
    ("corruption=fog corruption_path=nope", "nope"),
    (MINE + "[[]]", "at least one transform"),
    (MINE + "[3]", "got 3"),
    (MINE + "[null]", "got None"),
    (MINE + "abc", "valid tuple"),
    (MINE + "[identity] +tta.mine.product=[[horizontal_flip]]", "got both"),
    ("+tta.mine.aggregation=vote", "got neither"),
    ("tracking=default tracking.uri=mlruns", "tracking.uri"),
    ("store=null", "valid string"),
    ("hydra/launcher=jolib", "tta-harness[joblib]"),
    ("=3", "key=value"),
    ("digits", "key=value"),
    ("--dataset=digits", "key=value"),
]


@pytest.mark.parametrize(("line", "says"), MISTAKES)
def test_a_mistake_is_one_line(harness: Any, tmp_path: Path, line: str, says: str) -> None:
    """The line names what is wrong and what is near; exit code 2; nothing is computed and nothing left behind."""
    tracking = [] if "tracking" in line else ["tracking=none"]
    answer = harness("run", *line.split(), *tracking)
    assert answer.code == 2
    assert says in answer.error
    assert {path.name for path in tmp_path.iterdir()} <= {".harness"}
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_misspelt_study(harness: Any, tmp_path: Path) -> None:
    """A study that has no folder among those that have one is refused: its configuration would silently not count."""
    (tmp_path / "experiments" / "first").mkdir(parents=True)
    answer = harness("run", "study=frist", "tracking=none")
    assert (answer.code, "did you mean first" in answer.error) == (2, True)


def test_misspelt_key_in_a_users_file(harness: Any, tmp_path: Path) -> None:
    """A wrong key in a user's own policy file is found as one on the command line is."""
    folder = tmp_path / "conf" / "tta"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("mine:\n  view: [identity]\n")
    answer = harness("plan", "tta=mine")
    assert (answer.code, "did you mean tta.mine.views" in answer.error) == (2, True)


def test_broken_yaml(harness: Any, tmp_path: Path) -> None:
    """A file that is not YAML is one line too."""
    folder = tmp_path / "conf" / "tta"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("mine: [identity\n")
    answer = harness("plan", "tta=mine")
    assert (answer.code, "mine" in answer.error) == (2, True)


def test_configuration_is_frozen() -> None:
    """A job's configuration cannot change under way, so what is stored is what was run."""
    config = parse({"dataset": {"kind": "digits"}, "model": {"kind": "small_cnn"}, "tta": {}})
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3  # type: ignore[misc]


def test_a_tree_that_is_no_configuration() -> None:
    """A stored configuration of something else is refused with the key that is missing."""
    with pytest.raises(ConfigError, match="missing value: dataset"):
        parse({"model": {"kind": "small_cnn"}, "tta": {}})
