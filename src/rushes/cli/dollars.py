"""Amounts of money, as they are typed."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal, InvalidOperation

import click

_MOST = Decimal(10) ** 9


class Dollars(click.ParamType[Decimal]):
    """An amount of US dollars: a number from 0 to under a billion, with at most six decimals."""

    name = "dollars"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """The amount that was typed."""
        with suppress(InvalidOperation):
            amount = Decimal(str(value).removeprefix("$"))
            if 0 <= amount < _MOST and amount == round(amount, 6):
                return amount
        told = f"{value!r} is no amount of dollars: a number from 0 to under a billion, with at most six decimals."
        return self.fail(told, param, ctx)
