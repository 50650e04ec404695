"""All cases, by command; each row is a test, and a row of `docs/reference/bad-input.md`."""

from end_to_end.bad_input.case import Cases
from end_to_end.bad_input.tables_apply import APPLY
from end_to_end.bad_input.tables_points import APPLY_POINTS, EVALUATE
from end_to_end.bad_input.tables_register import REGISTER
from end_to_end.bad_input.tables_transforms import COMPOSE, CONVERT, INFO, INVERT, JACOBIAN

TABLES: dict[str, Cases] = {
    "register": REGISTER,
    "apply": APPLY,
    "apply-points": APPLY_POINTS,
    "invert": INVERT,
    "compose": COMPOSE,
    "convert": CONVERT,
    "jacobian": JACOBIAN,
    "info": INFO,
    "evaluate": EVALUATE,
}
