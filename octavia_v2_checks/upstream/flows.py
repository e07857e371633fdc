# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Can a release of Octavia still build the flows that another one posted?

A flow is stored as the import path of the function that builds it, and that
function's arguments. The installed release is examined without importing it:
its modules are found on the path and parsed. Other releases are looked up in a
table, which tools/flow-table generates.
"""

import ast
from collections.abc import Iterable
from collections.abc import Iterator
import functools
import importlib.machinery
import importlib.util
import json
import pathlib

from octavia_v2_checks.upstream import versions

PACKAGE = 'octavia'

_TABLE = pathlib.Path(__file__).with_name('flows.json')


@functools.cache
def table() -> dict[str, dict[str, str]]:
    """Return release -> import path of a flow's function -> its parameters.
    """
    return json.loads(_TABLE.read_bytes())


def release(wanted: str) -> str | None:
    """Return the release of the table that a text means, None if none.

    :param wanted: ``16``, ``16.0`` or ``2025.1``
    """
    found = versions.octavia_release(wanted)
    if found is None:
        return None
    major, _ = found
    return next((r for r in table() if r.startswith(f'{major}.')), None)


def problem(factory: str, count: int, names: Iterable[str],
            target: str | None = None) -> str | None:
    """Return what keeps a release from building a flow, None if nothing.

    :param factory: import path of the function
    :param count: number of positional arguments that are stored
    :param names: names of the other arguments
    :param target: a release of the table; the installed Octavia if None
    """
    if not factory.startswith(f'{PACKAGE}.'):
        # Looking it up could run code, and the name comes from a database.
        return 'it is not a function of Octavia'
    if target:
        text = table()[target].get(factory)
        if text is None:
            return f'Octavia {target} has no such function'
        return _binding(_parse(text), count, names)
    definition = _find(factory)
    if isinstance(definition, str):
        return definition
    return _binding(definition, count, names) if definition else None


def able(factory: str, count: int, names: Iterable[str]) -> list[str]:
    """Return the releases of the table that can build a flow."""
    names = list(names)
    return [r for r, functions in table().items() if factory in functions
            and not problem(factory, count, names, r)]


def _parse(parameters: str) -> ast.arguments:
    function = ast.parse(f'def flow({parameters}): pass').body[0]
    assert isinstance(function, ast.FunctionDef)  # noqa: S101
    return function.args


def _binding(parameters: ast.arguments, count: int, names: Iterable[str]
             ) -> str | None:
    """Return why arguments do not fit parameters, as Python would."""
    by_place = [a.arg for a in parameters.posonlyargs + parameters.args]
    only_by_place = {a.arg for a in parameters.posonlyargs}
    if count > len(by_place) and not parameters.vararg:
        plural = '' if len(by_place) == 1 else 's'
        return (f'it takes {len(by_place)} positional argument{plural}, and '
                f'{count} are stored')
    given = set(by_place[:count])
    by_name = ({a.arg for a in parameters.kwonlyargs}
               | set(by_place)) - only_by_place
    for name in sorted(names):
        # The name of a positional-only parameter is available to **rest.
        if name in by_name:
            if name in given:
                return f'its argument {name} is stored twice'
            given.add(name)
        elif not parameters.kwarg:
            return f'it takes no argument {name}'
    needed = by_place[:len(by_place) - len(parameters.defaults)] + [
        a.arg for a, default in zip(
            parameters.kwonlyargs, parameters.kw_defaults, strict=True)
        if default is None]
    missing = [name for name in needed if name not in given]
    if missing:
        return f'it needs {", ".join(missing)}, which is not stored'
    return None


@functools.cache
def _find(factory: str) -> ast.arguments | str | None:
    """Return the parameters of an installed function.

    :returns: text if there is no such function; None if its parameters cannot
        be determined without running code
    """
    installed = f'Octavia {versions.installed(PACKAGE) or "here"}'
    module, _, name = factory.rpartition('.')
    path = _file(module)
    if path is None:
        return f'{installed} has no module {module}'
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError):
        return f'the module {module} of {installed} cannot be read'
    found: ast.arguments | str | None = (
        f'{installed} has no function {name} in {module}')
    for node in _statements(tree.body):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            found = None if node.decorator_list else node.args
        elif name in _bound(node):
            found = None
    return found


def _file(module: str) -> pathlib.Path | None:
    """Return the file of a module below Octavia, without importing one."""
    first, *others = module.split('.')
    spec = importlib.util.find_spec(first)
    for number, _ in enumerate(others, 2):
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(
            '.'.join([first, *others][:number]),
            spec.submodule_search_locations)
    return pathlib.Path(spec.origin) if spec and spec.origin else None


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield what runs on import, in conditions and attempts too."""
    for node in body:
        yield node
        for field in ('body', 'orelse', 'finalbody', 'handlers'):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef
                              | ast.ClassDef):
                yield from _statements(getattr(node, field, []))


def _bound(node: ast.stmt) -> set[str]:
    """Return the names that a statement other than def binds."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {a.asname or a.name for a in node.names}
    if isinstance(node, ast.Assign):
        return {n.id for t in node.targets for n in ast.walk(t)
                if isinstance(n, ast.Name)}
    if isinstance(node, ast.ClassDef):
        return {node.name}
    return set()


def parameters(source: bytes) -> dict[str, str]:
    """Return name -> parameters of every function of a module."""
    return {node.name: ast.unparse(node.args)
            for node in ast.parse(source).body
            if isinstance(node, ast.FunctionDef)}
