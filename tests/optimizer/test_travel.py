"""Distances are held against geopy's geodesic (Karney's algorithm, exact to nanometres)."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from geopy.distance import geodesic
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from optimizer.problem import UNREACHABLE
from optimizer.travel import HOURLY_FACTORS, Geodesic, InvalidPlace, Place, SpeedProfile, apart, between

NEW_YORK = st.builds(Place, st.floats(40.49, 40.92), st.floats(-74.27, -73.68))
LATITUDES = st.one_of(st.floats(-90, 90), st.floats(-90, -89.5), st.floats(89.5, 90))
LONGITUDES = st.one_of(st.floats(-180, 180), st.floats(-180, -179.5), st.floats(179.5, 180))
ANYWHERE = st.builds(Place, LATITUDES, LONGITUDES)

EMPIRE_STATE = Place(40.7486, -73.9855)
CITY_HALL = Place(40.7128, -74.0060)


def reference_m(a: Place, b: Place) -> float:
    return float(geodesic((a.lat, a.lon), (b.lat, b.lon)).m)


def destination(start: Place, azimuth_deg: float, distance_m: float) -> Place:
    point = geodesic(meters=distance_m).destination((start.lat, start.lon), azimuth_deg)
    return Place(point.latitude, max(-180.0, min(180.0, point.longitude)))


@settings(deadline=None)
@given(a=NEW_YORK, b=NEW_YORK)
def test_in_a_city_the_distance_is_within_a_ten_thousandth_of_the_geodesic(a: Place, b: Place) -> None:
    assert between(a, b) == pytest.approx(reference_m(a, b), rel=1e-4, abs=0.01)


@settings(deadline=None)
@given(a=ANYWHERE, azimuth_deg=st.floats(0, 360), distance_m=st.floats(1, 75_000))
def test_below_75_km_the_stated_bound_holds_at_every_latitude(
    a: Place, azimuth_deg: float, distance_m: float
) -> None:
    b = destination(a, azimuth_deg, distance_m)

    assert between(a, b) == pytest.approx(reference_m(a, b), rel=1e-6, abs=0.001)


@settings(deadline=None)
@given(a=ANYWHERE, azimuth_deg=st.floats(0, 360), distance_m=st.floats(75_000, 1_990_000))
def test_below_2000_km_the_distance_is_within_a_ten_thousandth(
    a: Place, azimuth_deg: float, distance_m: float
) -> None:
    b = destination(a, azimuth_deg, distance_m)

    assert between(a, b) == pytest.approx(reference_m(a, b), rel=1e-4)


@settings(deadline=None)
@given(a=ANYWHERE, b=ANYWHERE)
def test_around_the_whole_earth_the_distance_is_within_a_great_circles_error(a: Place, b: Place) -> None:
    reference = reference_m(a, b)
    assume(reference > 1)

    assert between(a, b) == pytest.approx(reference, rel=0.006)


def test_the_antimeridian_is_no_wall() -> None:
    west, east = Place(-16.8, 179.99), Place(-16.8, -179.99)

    metres = between(west, east)

    assert metres == pytest.approx(reference_m(west, east), rel=1e-6)
    assert metres < 2_200


def test_both_names_of_the_antimeridian_are_one_place_without_parking() -> None:
    matrix = Geodesic().matrix([Place(-16.8, 180), Place(-16.8, -180)])

    assert matrix.duration_s.tolist() == [[0, 0], [0, 0]]
    assert matrix.distance_m.tolist() == [[0, 0], [0, 0]]


@settings(deadline=None)
@given(places=st.lists(NEW_YORK, max_size=6), detour=st.floats(1, 2))
def test_a_matrix_holds_the_detoured_distance_of_every_pair(places: list[Place], detour: float) -> None:
    matrix = Geodesic(detour=detour).matrix(places)

    expected = [[between(a, b) * detour for b in places] for a in places]
    assert matrix.places == len(places)
    assert np.allclose(matrix.distance_m, np.array(expected).reshape(matrix.distance_m.shape), atol=0.51)
    assert (matrix.distance_m == matrix.distance_m.T).all()
    assert (matrix.duration_s == matrix.duration_s.T).all()


def test_a_leg_lasts_its_length_at_the_speed_and_the_parking() -> None:
    provider = Geodesic(detour=1.5, speed_kmh=36.0, parking_s=90)

    matrix = provider.matrix([EMPIRE_STATE, CITY_HALL, EMPIRE_STATE])

    expected_s = between(EMPIRE_STATE, CITY_HALL) * 1.5 / 10 + 90
    assert matrix.duration_s[0, 1] == pytest.approx(expected_s, abs=0.5)
    assert matrix.duration_s[0, 2] == 0


def test_the_hour_on_the_wall_clock_sets_the_speed() -> None:
    provider = Geodesic(profile=SpeedProfile((2.0,) * 8 + (0.5,) + (1.0,) * 15), parking_s=0)
    places = [EMPIRE_STATE, CITY_HALL]

    by_day = provider.matrix(places).duration_s[0, 1]
    at_night = provider.matrix(places, datetime(2026, 3, 9, 7, 59, tzinfo=UTC)).duration_s[0, 1]
    at_rush_hour = provider.matrix(places, datetime(2026, 3, 9, 8, 0, tzinfo=UTC)).duration_s[0, 1]

    assert at_night == pytest.approx(by_day / 2, abs=1)
    assert at_rush_hour == pytest.approx(by_day * 2, abs=1)


def test_the_default_profile_has_the_ratio_of_day_and_daytime_it_claims() -> None:
    daytime = HOURLY_FACTORS[8:19]

    ratio = (sum(HOURLY_FACTORS) / 24) / (sum(daytime) / len(daytime))

    assert ratio == pytest.approx(7 / 6, abs=0.02)


def test_a_way_beyond_any_duration_is_marked_unreachable() -> None:
    provider = Geodesic(detour=10, speed_kmh=1, profile=SpeedProfile((0.01,) * 24))

    matrix = provider.matrix([Place(0, 0), Place(0, 180)], datetime(2026, 3, 9, tzinfo=UTC))

    assert matrix.duration_s[0, 1] == UNREACHABLE


@pytest.mark.parametrize(
    ("lat", "lon"), [(90.01, 0), (-91, 0), (0, 180.5), (0, -181), (float("nan"), 0), (0, float("inf"))]
)
def test_a_place_off_the_globe_is_refused(lat: float, lon: float) -> None:
    with pytest.raises(InvalidPlace, match="must lie between"):
        Place(lat, lon)


@pytest.mark.parametrize(
    "wrong",
    [
        {"detour": 0.9},
        {"detour": float("nan")},
        {"speed_kmh": 0.0},
        {"speed_kmh": float("inf")},
        {"parking_s": -1},
    ],
)
def test_settings_that_give_no_travel_time_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Geodesic(**wrong)


@pytest.mark.parametrize("factors", [(1.0,) * 23, (0.0,) * 24, (float("nan"),) * 24])
def test_a_profile_without_24_usable_factors_is_refused(factors: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="24 factors"):
        SpeedProfile(factors)


@settings(deadline=None)
@given(places=st.lists(ANYWHERE, min_size=1, max_size=12))
def test_every_pair_of_a_matrix_is_as_far_as_the_two_places_alone(places: list[Place]) -> None:
    matrix = Geodesic(detour=1, parking_s=0).matrix(places)

    expected = np.array([[between(a, b) for b in places] for a in places])
    assert np.abs(matrix.distance_m - expected).max() <= 0.5 + 1e-6


@settings(deadline=None)
@given(
    a=ANYWHERE,
    azimuths_deg=st.lists(st.floats(0, 360), min_size=1, max_size=9),
    distance_m=st.floats(5_000, 75_000),
)
def test_a_city_anywhere_on_earth_is_within_a_ten_thousandth_in_its_matrix(
    a: Place, azimuths_deg: list[float], distance_m: float
) -> None:
    places = [a, *(destination(a, azimuth_deg, distance_m) for azimuth_deg in azimuths_deg)]

    matrix = Geodesic(detour=1).matrix(places)

    expected = np.array([[reference_m(a, b) for b in places] for a in places])
    assert (np.abs(matrix.distance_m - expected) <= 0.5 + 1e-4 * expected).all()


@settings(deadline=None)
@given(a=ANYWHERE, b=ANYWHERE, hour=st.integers(0, 23))
def test_a_leg_has_the_figures_of_the_matrix(a: Place, b: Place, hour: int) -> None:
    provider, departs_at = Geodesic(), datetime(2026, 3, 9, hour, tzinfo=UTC)

    leg = provider.leg(a, b, departs_at)

    matrix = provider.matrix([a, b], departs_at)
    assert leg == (matrix.duration_s[0, 1], matrix.distance_m[0, 1])


@pytest.mark.parametrize(("metres", "bound"), [(2_000_000, 1e-4), (2_020_000, 6e-3)])
def test_both_formulas_keep_their_bound_next_to_where_they_meet(metres: float, bound: float) -> None:
    start = Place(45, 7)
    end = destination(start, 70, metres)

    assert between(start, end) == pytest.approx(metres, rel=bound)


def test_places_are_apart_from_a_millimetre_on() -> None:
    pole, also_the_pole = Place(90, 0), Place(90, 135)
    west, east = Place(10, -180), Place(10, 180)
    a_metre_east = Place(10, -179.99999)

    different = apart([pole, also_the_pole, west, east, a_metre_east])

    assert different.tolist() == [
        [False, False, True, True, True],
        [False, False, True, True, True],
        [True, True, False, False, True],
        [True, True, False, False, True],
        [True, True, True, True, False],
    ]


def test_no_places_are_an_empty_matrix() -> None:
    assert Geodesic().matrix([]).places == 0
