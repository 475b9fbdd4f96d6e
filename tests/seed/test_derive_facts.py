import json
from importlib.resources import files

import pytest
from click.testing import CliRunner

from seed.derive_facts import derive, main

HEADER = (
    "request_id,created_at,closed_at,complaint_type,descriptor,location_type,"
    "address,city,borough,zip,lat,lon,no_access\n"
)
ROWS = (
    "1,2012-11-20T00:00:00,,HEATING,HEAT,,1 A STREET,BRONX,BRONX,10467,40.870000,-73.870000,1\n"
    "2,2012-11-20T00:00:00,,HEATING,HEAT,,2 A STREET,BRONX,BRONX,10467,40.872000,-73.870000,0\n"
    "3,2012-11-20T13:05:00,,Graffiti,Graffiti,,,NEW YORK,MANHATTAN,10001,40.750000,-73.990000,0\n"
)


def test_figures_are_counts_and_means_of_the_rows():
    figures = derive((HEADER + ROWS).encode())

    assert (figures["day"], figures["calls"], figures["closed_doors"]) == ("2012-11-20", 3, 1)
    assert figures["by_borough"] == {"Bronx": 2, "Manhattan": 1}
    assert figures["kinds"]["HEATING"] == {
        "calls": 2,
        "closed_doors": 1,
        "without_hour": 2,
        "by_hour": {},
        "by_borough": {"Bronx": 2},
        "descriptors": {"HEAT": 2},
    }
    assert figures["kinds"]["Graffiti"]["by_hour"] == {"13": 1}
    assert figures["neighbourhoods"]["10467"] == {
        "borough": "Bronx",
        "calls": 2,
        "lat": 40.871,
        "lon": -73.87,
        "spread_m": 100,
    }


def test_figures_of_a_file_with_a_refused_row_are_not_derived():
    broken = ROWS.replace("40.750000", "")

    with pytest.raises(ValueError, match="line 4: lat is missing"):
        derive((HEADER + broken).encode())


@pytest.mark.nyc311
def test_the_figures_in_the_tree_are_those_of_the_real_day(nyc311_file):
    written = CliRunner().invoke(main, [str(nyc311_file)])

    kept = files("seed").joinpath("facts/nyc311_2012_11_20.json").read_text(encoding="utf-8")
    assert json.loads(written.output) == json.loads(kept)
    assert written.output == kept
