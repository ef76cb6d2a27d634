"""Threads of messages (RFC 5256 section 3; REFS: draft-ietf-morg-inthread): no I/O, no recursion.

Messages are numbers from 0. A node is a message, or a dummy (a number from the count of messages
on) that stands for a message which others refer to and which isn't there.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

_NONE = -1
# Steps towards the root that one look for a loop takes. Conversations are not as deep, and what is
# deeper costs no more: such a link is not made.
_DEEPEST_LOOK = 500


@dataclass(frozen=True, slots=True)
class Forest:
    """Threads.

    Attributes:
        messages: how many there are.
        roots: nodes, in order.
        children: of each node, in order.
    """

    messages: int
    roots: list[int]
    children: list[list[int]]


def by_subject(subjects: Sequence[str], dates: Sequence[int]) -> Forest:
    """ORDEREDSUBJECT: the messages of one base subject, the first one above all others."""
    count = len(subjects)
    children: list[list[int]] = [[] for _ in range(count)]
    first_of: dict[str, int] = {}
    roots: list[int] = []
    for node in sorted(range(count), key=dates.__getitem__):
        root = first_of.setdefault(subjects[node], node)
        if root == node:
            roots.append(node)
        else:
            children[root].append(node)
    return Forest(count, roots, children)


def by_references(
    ids: Sequence[Hashable | None], references: Sequence[Sequence[Hashable]], dates: Sequence[int]
) -> Forest:
    """Threads by what messages say they refer to: steps 1 to 4 of REFERENCES, siblings by date.

    Args:
        ids: of each message, None where it has none.
        references: of each message, oldest first.
    """
    count = len(ids)
    parents = _parents(ids, references)
    children: list[list[int]] = [[] for _ in parents]
    roots: list[int] = []
    for node in sorted(range(count), key=dates.__getitem__):
        above = _above(node, parents, count)
        if above == _NONE:
            roots.append(node)
        else:
            if above >= count and not children[above]:
                roots.append(above)  # where its first child stands
            children[above].append(node)
    # A dummy with one child adds nothing.
    roots = [
        children[node][0] if node >= count and len(children[node]) == 1 else node for node in roots
    ]
    return Forest(count, roots, children)


def _parents(ids: Sequence[Hashable | None], references: Sequence[Sequence[Hashable]]) -> list[int]:
    """Step 1: of each node its parent, or _NONE; dummies for ids that no message has."""
    count = len(ids)
    nodes: dict[Hashable, int] = {}
    for node, each in enumerate(ids):
        if each is not None:
            nodes.setdefault(each, node)  # of two with one id, the second is like one without
    links = _Links(count)
    for node in range(count):
        before = _NONE
        for each in references[node]:
            known = nodes.get(each)
            if known is None:
                known = nodes[each] = links.add()
            if before != _NONE and links.parents[known] == _NONE:
                links.link(before, known)
            before = known
        # What a message says of itself outweighs what others say of it.
        if before != links.parents[node]:
            links.unlink(node)
            if before != _NONE:
                links.link(before, node)
    return links.parents


class _Links:
    """Parents of nodes, without a loop.

    Who is in one tree is kept as sets that only grow: nodes of different sets can be linked without
    a look, so that chains of any length take linear time.
    """

    def __init__(self, count: int) -> None:
        self.parents = [_NONE] * count
        self._sets = list(range(count))

    def add(self) -> int:
        """A new node."""
        self.parents.append(_NONE)
        self._sets.append(len(self._sets))
        return len(self._sets) - 1

    def link(self, parent: int, child: int) -> None:
        """Make a node the child of another, unless that would make a loop."""
        above, below = self._set_of(parent), self._set_of(child)
        if above == below:
            node, steps = parent, 0
            while node != _NONE:
                if node == child or steps == _DEEPEST_LOOK:
                    return
                node, steps = self.parents[node], steps + 1
        else:
            self._sets[below] = above
        self.parents[child] = parent

    def unlink(self, child: int) -> None:
        self.parents[child] = _NONE

    def _set_of(self, node: int) -> int:
        sets = self._sets
        while sets[node] != node:
            sets[node] = node = sets[sets[node]]
        return node


def _above(node: int, parents: list[int], count: int) -> int:
    """Step 3: the nearest message above; where there is none the topmost dummy, or _NONE.

    Dummies that are passed are linked to what is found, so that none is passed often.
    """
    passed: list[int] = []
    above = parents[node]
    while above >= count and parents[above] != _NONE:
        passed.append(above)
        above = parents[above]
    for dummy in passed:
        parents[dummy] = above
    return above


def merge_subjects(
    forest: Forest, subjects: Sequence[str], replies: Sequence[int], dates: Sequence[int]
) -> Forest:
    """Steps 5 and 6 of REFERENCES: threads of one base subject become one.

    Args:
        replies: whether the subject was that of a reply or forward.
    """
    count, children = forest.messages, [list(each) for each in forest.children]

    def speaker(root: int) -> int:
        return root if root < count else children[root][0]

    table: dict[str, int] = {}
    for root in forest.roots:
        subject = subjects[speaker(root)]
        if not subject:
            continue
        held = table.get(subject)
        if held is None or (
            held < count and (root >= count or (bool(replies[held]) and not replies[root]))
        ):
            table[subject] = root
    roots: list[int] = []
    moved: set[int] = set()
    for root in forest.roots:
        subject = subjects[speaker(root)]
        held = table[subject] if subject else root
        if root in moved:
            continue
        if held == root:
            roots.append(root)
        elif held >= count:
            children[held] += children[root] if root >= count else [root]
        elif root < count and replies[root] and not replies[held]:
            children[held].append(root)
        else:
            table[subject] = len(children)
            roots.append(len(children))
            children.append([held, root])
            moved |= {held, root}

    def moment(node: int) -> int:
        # A dummy goes by its first child, which may be a dummy of step 3.
        while node >= count:
            node = children[node][0]
        return dates[node]

    # Dummies first, in the order in which they were made: a younger one may hold an older one.
    for node in [*range(count, len(children)), *range(count)]:
        if len(children[node]) > 1:
            children[node].sort(key=moment)
    return Forest(
        count, sorted((root for root in roots if root not in moved), key=moment), children
    )


def by_latest(forest: Forest, moments: Sequence[int]) -> Forest:
    """REFS: threads in the order of the latest message in each.

    Args:
        moments: when each message came in.
    """

    def latest(root: int) -> int:
        found, waiting = 0, [root]
        while waiting:
            node = waiting.pop()
            waiting += forest.children[node]
            if node < forest.messages:
                found = max(found, moments[node])
        return found

    return Forest(forest.messages, sorted(forest.roots, key=latest), forest.children)
