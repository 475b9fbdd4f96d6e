import pytest

from seed.trades import COMPLAINT_TYPES, OTHERWISE, SERVICES, TRADES, UnknownComplaint, service_for


def test_every_service_asks_one_of_the_eight_trades_at_a_level_from_1_to_5():
    asked = {(service.skill, service.min_level) for service in SERVICES.values()}

    assert len(TRADES) == 8
    assert {skill for skill, _ in asked} == set(TRADES)
    assert {level for _, level in asked} == {1, 2, 3, 4, 5}


def test_every_complaint_type_has_a_service_whatever_its_descriptor():
    services = {service_for(kind, "words that nobody used before").key for kind in COMPLAINT_TYPES}

    assert services <= SERVICES.keys()


@pytest.mark.parametrize(
    ("complaint_type", "descriptor", "key"),
    [
        ("HEATING", "HEAT", "heat_outage"),
        ("NONCONST", "CARBON MONOXIDE", "carbon_monoxide"),
        ("GENERAL CONSTRUCTION", "GAS", "gas_leak"),
        ("Plumbing", "Gas Hook-Up/Piping - Illegal Or Defective", "gas_leak"),
        ("GENERAL CONSTRUCTION", "MAIL-BOX", "fittings_repair"),
        ("Elevator", "Elevator - Dangerous Condition/Shaft Open/Unguarded", "lift_rescue"),
        ("Street Sign - Missing", "No Parking, Standing, Stopping", "street_sign"),
        ("Street Sign - Missing", "Stop", "stop_sign"),
        ("Traffic Signal Condition", "Controller", "signal_failure"),
        ("Damaged Tree", "Entire Tree Has Fallen Down", "fallen_tree"),
        ("heat/hot water", "apartment only", "heat_outage"),
    ],
)
def test_a_complaint_maps_to_the_service_that_answers_it(complaint_type, descriptor, key):
    assert service_for(complaint_type, descriptor).key == key


def test_danger_to_life_is_an_emergency():
    dangers = ("carbon_monoxide", "gas_leak", "flooding", "lift_rescue", "signal_failure")

    assert {SERVICES[key].priority for key in dangers} == {"emergency"}


def test_a_complaint_that_no_trade_answers_is_refused():
    with pytest.raises(UnknownComplaint, match="Noise - Residential"):
        service_for("Noise - Residential", OTHERWISE)
