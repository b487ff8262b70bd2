"""Pets: born over the years, each of a kind, each in somebody's wallet."""

from __future__ import annotations

from functools import cached_property

from app.sandbox.clockwork import DAY, LAUNCH, MINTING
from app.sandbox.dice import FACES, Dice, pick, within
from app.sandbox.ids import number_in
from app.sandbox.table import Part, Row, Shelf, Table
from app.sandbox.tables.definitions import Definitions
from app.sandbox.tables.heroes import Heroes

FIRST_PET = 20_000
"""Ids of pets begin here, as they do on the chain."""
_NAMES = (
    *("Bean", "Clover", "Dapple", "Ember", "Fig", "Gizmo", "Hazel", "Inky", "Juno", "Kip"),
    *("Lark", "Mochi", "Nettle", "Olive", "Pip", "Quill", "Rune", "Sorrel", "Tansy", "Umber"),
)
_GROWING = 60
_FIELDS = (
    *("id", "tokenId", "basePet", "owner", "name", "lowercaseName", "skillFixedEnhancements"),
    *("skillPercentageEnhancements", "skillFixedEnhancementMaxes", "timestamp", "xp"),
    *("skillPercentageEnhancementMaxes", "isTransferable", "listingPrice", "soldHistory"),
    "listing",
)


class Pets:
    """One pet for every three heroes."""

    def __init__(self, seed: int, heroes: Heroes, definitions: Definitions) -> None:
        self.count = -(-heroes.count // 3)
        self._heroes = heroes
        self._definitions = definitions
        self._dice = Dice(seed, "pets")

    def table(self, shelf: Shelf) -> Table:
        return Table(
            "pets",
            (
                Part(("id", "tokenId", "owner", "name", "lowercaseName"), self._who, 0, True),
                Part(_FIELDS, self.row, _GROWING),
            ),
            lambda _: range(self.count),
            lambda pet_id, _: self._find(pet_id),
            shelf,
            lookups={"owner": lambda value, _: self._owned_by(value)},
        )

    def wallet(self, pet: int) -> int:
        """The wallet that holds a pet."""
        return self._dice.roll(pet)[0] * self._heroes.wallets // FACES

    @cached_property
    def of_wallet(self) -> dict[int, list[int]]:
        """The pets of every wallet that has any."""
        found: dict[int, list[int]] = {}
        for pet in range(self.count):
            found.setdefault(self.wallet(pet), []).append(pet)
        return found

    def row(self, pet: int, moment: int) -> Row:
        """All of a pet. Its XP grows while it is out with a hero."""
        numbers = self._dice.roll(pet)
        born = LAUNCH + pet * MINTING // self.count
        fixed, percentage = within(0, 9, numbers[2]), within(0, 30, numbers[3])
        return {
            **self._who(pet, moment),
            "basePet": pick(self._definitions.base_pets, numbers[1]),
            "skillFixedEnhancements": [fixed, 0],
            "skillPercentageEnhancements": [percentage, 0],
            "skillFixedEnhancementMaxes": [fixed + 5, 0],
            "skillPercentageEnhancementMaxes": [percentage + 10, 0],
            "timestamp": str(born),
            "xp": str((moment - born) * within(1, 400, numbers[4]) // DAY),
            "isTransferable": True,
            "listingPrice": "0",
            "soldHistory": [],
            "listing": None,
        }

    def _who(self, pet: int, _: int) -> Row:
        numbers = self._dice.roll(pet)
        name = f"{pick(_NAMES, numbers[5])} {FIRST_PET + pet}"
        return {
            "id": str(FIRST_PET + pet),
            "tokenId": str(FIRST_PET + pet),
            "owner": self._heroes.address(self.wallet(pet)),
            "name": name,
            "lowercaseName": name.lower(),
        }

    def _find(self, pet_id: str) -> int | None:
        pet = (number_in(pet_id) or 0) - FIRST_PET
        return pet if 0 <= pet < self.count else None

    def _owned_by(self, address: str) -> list[int]:
        wallet = self._heroes.wallet_at.get(address)
        return [] if wallet is None else self.of_wallet.get(wallet, [])
