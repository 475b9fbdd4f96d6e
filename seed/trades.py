"""Which trade and which service answers a call, from the words of New York's 311 line.

Eight trades are the skills of the generated freelancers. A service fixes what a call needs: the skill with
its least level, how long the work takes, what the customer pays and how soon it matters. Durations and prices
are round assumptions for a visit by one person; the city's data holds neither.
"""

from dataclasses import dataclass

from dispatch.service_request import Priority

TRADES = (
    "heating",
    "plumbing",
    "electric",
    "carpentry",
    "painting",
    "tree_care",
    "street_equipment",
    "sanitation",
)
"""street_equipment: lamps, signals, signs and meters. sanitation: pests, mould, rubbish and graffiti."""


@dataclass(frozen=True, slots=True)
class Service:
    """What a customer books. min_level: 1 to 5 in `skill`. duration_s: work at the door, without travel."""

    key: str
    name: str
    skill: str
    min_level: int
    duration_s: int
    price_cents: int
    priority: Priority


def _service(
    key: str, name: str, skill: str, level: int, minutes: int, price: int, priority: str
) -> tuple[str, Service]:
    return key, Service(key, name, skill, level, minutes * 60, price * 100, Priority(priority))


SERVICES: dict[str, Service] = dict(
    (
        _service("carbon_monoxide", "Carbon monoxide alarm", "heating", 4, 45, 190, "emergency"),
        _service("heat_outage", "No heat or hot water", "heating", 2, 45, 145, "high"),
        _service("boiler_repair", "Boiler repair", "heating", 4, 60, 260, "high"),
        _service("radiator_repair", "Radiator repair", "heating", 2, 40, 110, "normal"),
        _service("ventilation_repair", "Ventilation repair", "heating", 3, 45, 135, "normal"),
        _service("gas_leak", "Gas leak or faulty gas pipe", "plumbing", 4, 45, 190, "emergency"),
        _service("flooding", "Flooding or burst main", "plumbing", 4, 60, 280, "emergency"),
        _service("leak_repair", "Water leak", "plumbing", 2, 45, 130, "high"),
        _service("water_supply", "No water, low pressure, dirty water", "plumbing", 3, 50, 140, "high"),
        _service("drain_clearing", "Blocked drain or sewer", "plumbing", 3, 50, 175, "high"),
        _service("fixture_repair", "Sink, bath or toilet repair", "plumbing", 1, 40, 100, "normal"),
        _service("hydrant_repair", "Hydrant repair", "plumbing", 2, 35, 120, "normal"),
        _service("sprinkler_check", "Sprinkler and standpipe check", "plumbing", 4, 60, 190, "normal"),
        _service("lift_rescue", "Dangerous elevator", "electric", 5, 60, 290, "emergency"),
        _service("lift_repair", "Elevator repair", "electric", 4, 75, 270, "high"),
        _service("power_outage", "No electricity", "electric", 3, 45, 150, "high"),
        _service("wiring_repair", "Faulty wiring", "electric", 3, 50, 165, "high"),
        _service("lighting_repair", "Light fitting repair", "electric", 1, 35, 95, "normal"),
        _service("intercom_repair", "Bell or intercom repair", "electric", 2, 40, 105, "low"),
        _service("appliance_repair", "Range or refrigerator repair", "electric", 2, 45, 120, "normal"),
        _service("structure_securing", "Securing a dangerous structure", "carpentry", 4, 75, 240, "high"),
        _service("stairs_repair", "Stairs repair", "carpentry", 3, 60, 160, "high"),
        _service("door_repair", "Door or lock repair", "carpentry", 2, 40, 115, "normal"),
        _service("window_repair", "Window repair", "carpentry", 2, 45, 120, "normal"),
        _service("floor_repair", "Floor repair", "carpentry", 2, 50, 145, "normal"),
        _service("fittings_repair", "Cabinets, tiles and mailboxes", "carpentry", 1, 40, 100, "low"),
        _service("building_upkeep", "Upkeep of a building", "carpentry", 2, 60, 140, "normal"),
        _service("ceiling_plaster", "Ceiling plaster and paint", "painting", 2, 50, 140, "normal"),
        _service("wall_plaster", "Wall plaster and paint", "painting", 1, 45, 120, "low"),
        _service("fallen_tree", "Fallen or leaning tree", "tree_care", 3, 60, 280, "high"),
        _service("hanging_branch", "Branch about to fall", "tree_care", 3, 45, 180, "high"),
        _service("fallen_branch", "Fallen branch", "tree_care", 2, 40, 140, "normal"),
        _service("tree_check", "Tree in poor condition", "tree_care", 2, 30, 95, "low"),
        _service(
            "signal_failure", "Traffic signal out of order", "street_equipment", 3, 40, 190, "emergency"
        ),
        _service("signal_lamp", "Signal lamp or housing", "street_equipment", 2, 35, 150, "high"),
        _service("lamp_post", "Damaged lamp post", "street_equipment", 3, 45, 210, "high"),
        _service("street_light", "Street light out", "street_equipment", 2, 30, 110, "normal"),
        _service("stop_sign", "Stop sign missing", "street_equipment", 2, 30, 110, "high"),
        _service("street_sign", "Street sign missing", "street_equipment", 1, 30, 90, "normal"),
        _service("parking_meter", "Parking meter repair", "street_equipment", 1, 25, 80, "low"),
        _service("mould_removal", "Mould removal", "sanitation", 3, 50, 160, "normal"),
        _service("pest_control", "Pest control", "sanitation", 2, 40, 115, "normal"),
        _service("rubbish_removal", "Rubbish removal", "sanitation", 1, 35, 90, "low"),
        _service("graffiti_removal", "Graffiti removal", "sanitation", 1, 40, 95, "low"),
    )
)
"""By key. Emergency is what endangers life (gas, carbon monoxide, flooding, a dead traffic signal, an open
shaft); high what the city's housing code calls hazardous or what gets worse by the hour."""

OTHERWISE = ""

_RULES: dict[str, tuple[tuple[str, str], ...]] = {
    "HEATING": (("PLANT", "boiler_repair"), (OTHERWISE, "heat_outage")),
    "HEAT/HOT WATER": ((OTHERWISE, "heat_outage"),),
    "PLUMBING": (
        ("GAS", "gas_leak"),
        ("RADIATOR", "radiator_repair"),
        ("LEAK", "leak_repair"),
        ("WATER-SUPPLY", "water_supply"),
        ("WATER SUPPLY", "water_supply"),
        ("SEWER", "drain_clearing"),
        ("DRAINAGE", "drain_clearing"),
        ("SPRINKLER", "sprinkler_check"),
        (OTHERWISE, "fixture_repair"),
    ),
    "WATER LEAK": ((OTHERWISE, "leak_repair"),),
    "WATER SYSTEM": (
        ("HYDRANT", "hydrant_repair"),
        ("MAIN BREAK", "flooding"),
        ("BASEMENT", "flooding"),
        ("LEAK", "leak_repair"),
        (OTHERWISE, "water_supply"),
    ),
    "SEWER": (
        ("FLOODING (SJ)", "flooding"),
        ("MANHOLE COVER MISSING", "flooding"),
        (OTHERWISE, "drain_clearing"),
    ),
    "ELECTRIC": (
        ("SUPPLY", "power_outage"),
        ("WIRING", "wiring_repair"),
        ("BELL", "intercom_repair"),
        (OTHERWISE, "lighting_repair"),
    ),
    "ELEVATOR": (("DANGEROUS", "lift_rescue"), (OTHERWISE, "lift_repair")),
    "APPLIANCE": ((OTHERWISE, "appliance_repair"),),
    "GENERAL CONSTRUCTION": (
        ("GAS", "gas_leak"),
        ("MOLD", "mould_removal"),
        ("VENTILATION", "ventilation_repair"),
        ("DOOR", "door_repair"),
        ("LOCK", "door_repair"),
        ("WINDOW", "window_repair"),
        ("FLOOR", "floor_repair"),
        ("STAIR", "stairs_repair"),
        ("CABINET", "fittings_repair"),
        ("TILE", "fittings_repair"),
        ("MAIL", "fittings_repair"),
        (OTHERWISE, "building_upkeep"),
    ),
    "GENERAL CONSTRUCTION/PLUMBING": (
        ("SHAKING", "structure_securing"),
        ("DEBRIS", "structure_securing"),
        ("ENDANGERING", "structure_securing"),
        ("EGRESS", "door_repair"),
        ("VENT/EXHAUST", "ventilation_repair"),
        (OTHERWISE, "building_upkeep"),
    ),
    "DOOR/WINDOW": (("WINDOW", "window_repair"), (OTHERWISE, "door_repair")),
    "FLOORING/STAIRS": (("STAIR", "stairs_repair"), (OTHERWISE, "floor_repair")),
    "PAINT - PLASTER": (("CEILING", "ceiling_plaster"), (OTHERWISE, "wall_plaster")),
    "PAINT/PLASTER": (("CEILING", "ceiling_plaster"), (OTHERWISE, "wall_plaster")),
    "DAMAGED TREE": (
        ("ENTIRE TREE", "fallen_tree"),
        ("LEANING", "fallen_tree"),
        ("WILL FALL", "hanging_branch"),
        ("SPLIT", "hanging_branch"),
        ("FALLEN DOWN", "fallen_branch"),
        (OTHERWISE, "tree_check"),
    ),
    "STREET LIGHT CONDITION": (
        ("LAMPPOST", "lamp_post"),
        ("BRACKET", "lamp_post"),
        (OTHERWISE, "street_light"),
    ),
    "TRAFFIC SIGNAL CONDITION": (
        ("CONTROLLER", "signal_failure"),
        ("CABLE", "signal_failure"),
        (OTHERWISE, "signal_lamp"),
    ),
    "STREET SIGN - MISSING": (
        ("NO PARKING", "street_sign"),
        ("STOP", "stop_sign"),
        (OTHERWISE, "street_sign"),
    ),
    "BROKEN MUNI METER": ((OTHERWISE, "parking_meter"),),
    "BROKEN PARKING METER": ((OTHERWISE, "parking_meter"),),
    "NONCONST": (
        ("CARBON MONOXIDE", "carbon_monoxide"),
        ("RUBBISH", "rubbish_removal"),
        (OTHERWISE, "pest_control"),
    ),
    "UNSANITARY CONDITION": (
        ("MOLD", "mould_removal"),
        ("GARBAGE", "rubbish_removal"),
        (OTHERWISE, "pest_control"),
    ),
    "GRAFFITI": ((OTHERWISE, "graffiti_removal"),),
}
"""For each complaint type, capitals: the first entry whose words the descriptor contains names the service.
The types with a slash between bare words (HEAT/HOT WATER and the like) are the city's newer names, for
days fetched from later years."""

COMPLAINT_TYPES = tuple(sorted(_RULES))
"""The complaint types that field service answers, in capitals."""


class UnknownComplaint(ValueError):
    """A complaint type that no trade here answers, such as noise."""


def service_for(complaint_type: str, descriptor: str) -> Service:
    """The service that answers a call, whatever the capitals. Raises `UnknownComplaint`."""
    rules = _RULES.get(complaint_type.strip().upper())
    if rules is None:
        raise UnknownComplaint(f"no trade answers complaint type {complaint_type!r}")
    words = descriptor.upper()
    return SERVICES[next(key for fragment, key in rules if fragment in words)]
