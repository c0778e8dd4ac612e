"""Filters on metadata columns: a small language, parsed and never executed.

    width >= 512 and NSFW == "UNLIKELY"
    "cat" in caption or LANGUAGE in ["en", "de"]
    not (similarity < 0.3) and punsafe != None

Comparisons of a column with a number, a text, True, False or None; `in` a list of them; a text
`in` a column; joined by `and`, `or`, `not` and brackets. A column whose name is no word is written
as text on the left of a comparison.
"""

from __future__ import annotations

import ast
from typing import Any

from mindeye_cli.core.neighbours.needs import need_pyarrow
from mindeye_store.errors import UsageProblem

LONGEST = 2000  # letters; deeper nesting than people write would exhaust the stack
_COMPARE = {
    ast.Eq: "__eq__",
    ast.NotEq: "__ne__",
    ast.Lt: "__lt__",
    ast.LtE: "__le__",
    ast.Gt: "__gt__",
    ast.GtE: "__ge__",
}


def parse_where(expression: str) -> tuple[Any, set[str]]:
    """Turn a filter into an expression of pyarrow.

    Parameters
    ----------
    expression : str

    Returns
    -------
    pyarrow.compute.Expression
    set of str
        The columns that it uses.

    Raises
    ------
    UsageProblem
        It is not in the language.
    """
    if len(expression) > LONGEST:
        raise UsageProblem(f"longer than {LONGEST} letters", where="--where")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        raise _wrong(expression) from problem
    used: set[str] = set()
    return _condition(tree.body, used, expression), used


def _condition(node: ast.expr, used: set[str], text: str) -> Any:
    if isinstance(node, ast.BoolOp):
        parts = [_condition(value, used, text) for value in node.values]
        joined = parts[0]
        for part in parts[1:]:
            joined = joined & part if isinstance(node.op, ast.And) else joined | part
        return joined
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return ~_condition(node.operand, used, text)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _comparison(node, used, text)
    raise _wrong(text)


def _comparison(node: ast.Compare, used: set[str], text: str) -> Any:
    compute = need_pyarrow("pyarrow.compute")
    left, operator, right = node.left, node.ops[0], node.comparators[0]
    if isinstance(operator, ast.In | ast.NotIn):
        if isinstance(right, ast.List | ast.Tuple):
            values = [_value(item, text) for item in right.elts]
            found = _column(left, used, text).isin(values)
        else:
            part = _value(left, text)
            if not isinstance(part, str):
                raise _wrong(text)
            found = compute.match_substring(_column(right, used, text), part)
        return found if isinstance(operator, ast.In) else ~found
    name = _COMPARE.get(type(operator))
    if name is None:
        raise _wrong(text)
    column, value = _column(left, used, text), _value(right, text)
    if value is None:
        if name not in ("__eq__", "__ne__"):
            raise _wrong(text)
        return column.is_null() if name == "__eq__" else column.is_valid()
    return getattr(column, name)(compute.scalar(value))


def _column(node: ast.expr, used: set[str], text: str) -> Any:
    name = node.id if isinstance(node, ast.Name) else None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        name = node.value
    if name is None:
        raise _wrong(text)
    used.add(name)
    return need_pyarrow("pyarrow.compute").field(name)


def _value(node: ast.expr, text: str) -> Any:
    negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    inner = node.operand if isinstance(node, ast.UnaryOp) and negative else node
    if not isinstance(inner, ast.Constant) or not isinstance(
        inner.value, str | int | float | bool | None
    ):
        raise _wrong(text)
    if not negative:
        return inner.value
    if isinstance(inner.value, int | float):
        return -inner.value
    raise _wrong(text)


def _wrong(text: str) -> UsageProblem:
    return UsageProblem(
        f"not a filter: {text[:80]}",
        where="--where",
        fix='write it such as: width >= 512 and "cat" in caption',
    )
