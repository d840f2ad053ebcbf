"""The figures by which the checker is judged, on the graphs it was designed on and on others."""

import numpy as np
import pytest
from mutation_study import feed_forward, print_figures, study_clean, study_mutants, unusual

from rop.checking import check


@pytest.mark.slow
@pytest.mark.parametrize("make, seed", [(feed_forward, 11), (unusual, 12)])
def test_mutants_are_found_and_named(make, seed):
    samples = (make(np.random.default_rng([seed, i])) for i in range(60))
    study = study_mutants(samples, per_sample=40, seconds=280)
    print(study, *study.missed, *study.misnamed, sep="\n")
    assert study.mutants > 200
    assert study.gross_found == study.gross, study.missed
    assert study.found >= 0.99 * study.mutants, study.missed
    assert study.named >= 0.97 * study.found, study.misnamed


@pytest.mark.ci
@pytest.mark.parametrize(
    "make, seed, i",
    [
        (feed_forward, 121, 300),
        (feed_forward, 221, 291),
        (unusual, 122, 507),
        (unusual, 222, 102),
        (unusual, 322, 21),
        (unusual, 422, 255),
        (unusual, 2, 30),
        (unusual, 2, 84),
    ],
)
def test_saturated_nets_whose_curvature_is_all_rounding_are_not_accused(make, seed, i):
    sample = make(np.random.default_rng([seed, i]), scale=30.0)
    report = check(sample.objective, sample.theta, sample.batch, seed=i)
    assert report.verdict != "fail", str(report)


@pytest.mark.slow
@pytest.mark.parametrize("make, seed", [(feed_forward, 21), (unusual, 22)])
def test_clean_graphs_are_not_accused(make, seed):
    verdicts, accused = study_clean(make, 700, seed, seconds=290)
    assert verdicts.total() > 100
    assert not accused, accused[0]


@pytest.mark.ci
def test_the_figures_are_printed(capsys):
    print_figures(mutant_samples=1, clean=2, per_sample=4, seconds=10)
    printed = capsys.readouterr().out
    assert printed.count("mutants found") == 2
    assert printed.count("0 alarms on 2 clean graphs") == 2
