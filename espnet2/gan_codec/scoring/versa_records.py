"""What VERSA writes: one record a line, of JSON or, by its earlier versions, a Python literal."""

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

COMPLETION = "_versa_completion"  # later versions: what became of each metric, and why


def read_records(path: Path) -> dict[str, dict]:
    """Return the records that are whole by their key; none if there is no file."""
    records = {}
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for line in text.splitlines():
        try:
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                record = _literal(ast.parse(line.strip(), mode="eval").body)
            records[str(record["key"])] = record
        except (ValueError, SyntaxError, TypeError, LookupError, RecursionError):
            continue  # cut off, or no record
    return records


def error_message(record: Mapping, metric: str) -> str | None:
    """Return the error that a record holds for a metric of VERSA's, in one line."""
    try:
        error = record[COMPLETION]["metrics"][metric]["error"]
    except (KeyError, TypeError):
        return None
    return " ".join(str(error).split())


def _literal(node: ast.expr | None) -> Any:
    """Return the value of a Python literal, in which nan, inf and np.float64(1.0) may stand."""
    if node is None:
        raise ValueError("a dict is unpacked there")
    if isinstance(node, ast.Name) and node.id in ("nan", "inf"):
        return float(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_literal(node.operand)
    if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("np."):
        return _literal(node.args[0])
    if isinstance(node, ast.Dict):
        return {_literal(k): _literal(v) for k, v in zip(node.keys, node.values, strict=True)}
    return ast.literal_eval(node)
