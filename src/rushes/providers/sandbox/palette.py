"""The prompt's words as colours and a kind of scene."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from rushes.providers.sandbox.colour import Floats, parse

Name = TypeVar("Name")


@dataclass(frozen=True, slots=True)
class Palette:
    """Six colours, from the top of the sky to what is nearest; each is R, G, B from 0 to 255."""

    top: Floats
    middle: Floats
    low: Floats
    sun: Floats
    far: Floats
    near: Floats
    dark: bool


@dataclass(frozen=True, slots=True)
class Theme:
    """What a prompt looks like: a palette and a kind of scene."""

    palette: Palette
    kind: str


#          the sky's top, middle, low; the sun; the farthest hill, the nearest
_COLOURS: Mapping[str, str] = {
    "sunset": "2f3268 c4587a ffb573 fff0c4 b25f80 26142f",
    "ocean": "1f64a0 6fb4d3 f5e6c6 fffbe6 5a9cc0 072c49",
    "forest": "5c948f b3d0b0 f4efc6 fffbe0 86b095 0e2c26",
    "night": "060a22 14204c 3c4d8c f6f2dc 26346b 04071a",
    "gold": "8f5a26 e2a548 ffe5a4 fffce6 c88b3b 371e0d",
    "snow": "6f93be b5cde4 f5efee ffffff a9bfd9 eef4fb",
    "red": "3a0a1d a31d33 ff7d5a ffe4bd 8e1c39 20050d",
    "rose": "7a5a9e e58fb1 ffdcd2 fff6ec c27da7 43194a",
    "violet": "1e1142 673c9e e5a4d8 ffecf8 6a47a3 140930",
    "blue": "0b2963 3876cf c2e5ff ffffff 4783ce 081a42",
    "teal": "05434b 2a9a8d d9f3d8 fffde9 3d9c94 03272d",
    "green": "1c5846 74b578 edf5bb fffee6 6bab75 0a2e20",
    "desert": "5486a8 efc590 fee5c0 fff9e6 dd9d6d 6d331b",
    "orange": "7d2c1e ee843a ffdc8f fff6d9 d56f37 3a120a",
    "mist": "76858f a9b6bb e8e7e0 fdfcf5 9eabb2 263038",
    "black": "060709 181b21 3b404a eceae2 262a32 030304",
    "dawn": "4569a1 e7a4a2 ffe7ba fff9e8 b98ca6 2b2a4c",
    "neon": "120930 4c1c6c ff6d92 ffd9ac 45266f 0a051d",
}
_DARK = frozenset({"night", "black", "neon"})
_BY_HASH = ("sunset", "dawn", "teal", "rose", "violet", "gold", "blue", "forest", "ocean", "orange", "mist")
_KINDS_BY_HASH = ("silk", "hills", "peaks", "silk", "dunes", "silk", "hills")

_COLOUR_WORDS: Mapping[str, str] = {
    "red": "red crimson scarlet ruby blood lava volcano 红 赤 rot rouge rojo",
    "orange": "orange amber autumn fall pumpkin fire flame ember copper tangerine 橙 秋 火",
    "gold": "gold golden yellow honey sunny sunlight wheat brass 金 黄 oro",
    "green": "green emerald lime meadow grass spring garden moss 绿 緑 vert grün verde",
    "teal": "teal turquoise cyan aqua mint jade lagoon",
    "blue": "blue azure cobalt sapphire indigo 蓝 青 bleu blau azul",
    "violet": "purple violet lavender lilac magenta cosmic dream dreamy 紫",
    "rose": "pink rose blossom cherry sakura love wedding candy 粉 桜 樱",
    "black": "black noir monochrome shadow 黑 黒",
    "mist": "grey gray silver",
    "snow": "white ivory",
}
_LIGHT_WORDS: Mapping[tuple[str, str], str] = {
    ("hills", "sunset"): "sunset dusk evening twilight 夕 落日 日落",
    ("hills", "dawn"): "dawn sunrise morning 朝 晨 日出",
    ("hills", "mist"): "fog foggy mist misty cloud clouds cloudy rain rainy storm smoke 雾 雨 霧",
    ("night", "night"): "night midnight moon moonlit star stars starry galaxy space planet astronaut universe aurora "
    "rocket 夜 星 月 宇宙 nacht nuit noche",
}
_SCENE_WORDS: Mapping[tuple[str, str], str] = {
    ("sea", "ocean"): "ocean sea water wave waves lake river beach surf island ship boat sail harbour harbor whale "
    "fish coast pool seaside shore 海 湖 波 川 河 mer meer mar",
    ("forest", "forest"): "forest wood woods tree trees jungle pine bear deer fox wolf owl 森 林 forêt wald bosque",
    ("peaks", "snow"): "snow snowy winter ice icy frost glacier arctic ski 雪 冬 冰 schnee neige nieve",
    ("peaks", "blue"): "mountain mountains alps peak summit himalaya cliff 山 montagne berg montaña",
    ("dunes", "desert"): "desert sand dune dunes sahara camel mars savanna canyon 沙 砂",
    ("hills", "green"): "hill hills field fields farm valley countryside horse cow sheep 田 草",
    ("city", "neon"): "city street town urban building skyscraper tokyo york london paris neon cyberpunk traffic "
    "car robot 城 街 都市 stadt ville ciudad",
    ("silk", ""): "abstract flow silk dance music logo brand product gradient pattern",
}


def theme(prompt: str, chance: np.random.Generator) -> Theme:
    """What the prompt's words name; ``chance`` decides what they leave open.

    A colour goes before the light of an hour, the hour before a scene's own colours: "red sea at night" is red.
    """
    scene, light = _first(prompt, _SCENE_WORDS), _first(prompt, _LIGHT_WORDS)
    kind, colours = scene or light or (str(chance.choice(_KINDS_BY_HASH)), str(chance.choice(_BY_HASH)))
    if light is not None and (kind, light[1]) != ("city", "night"):
        colours = light[1]
    name = _first(prompt, _COLOUR_WORDS) or colours or str(chance.choice(_BY_HASH))
    return Theme(_palette(name, chance), kind)


def _first(prompt: str, table: Mapping[Name, str]) -> Name | None:
    known = {word: name for name, line in table.items() for word in line.split()}
    for word in re.findall(r"\w+", prompt.lower()[:2000]):
        if word in known:
            return known[word]
    # Chinese and Japanese write no spaces: look for each sign anywhere.
    signs = [(prompt.find(word), name) for word, name in known.items() if ord(word[0]) > 0x2E80 and word in prompt]
    return min(signs, key=lambda found: found[0])[1] if signs else None


def _palette(name: str, chance: np.random.Generator) -> Palette:
    turn = float(chance.uniform(-0.16, 0.16))
    colours = [_turned(parse(text), turn) for text in _COLOURS[name].split()]
    top, middle, low, sun, far, near = colours
    return Palette(top, middle, low, sun, far, near, dark=name in _DARK)


def _turned(rgb: Floats, angle: float) -> Floats:
    """The colour with its hue turned by a small angle (radians), so that two "red" prompts are not the same red."""
    grey = rgb @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    b, r = rgb[2] - grey, rgb[0] - grey
    cos, sin = np.cos(angle), np.sin(angle)
    blue, red = b * cos - r * sin, b * sin + r * cos
    green = -(0.2126 * red + 0.0722 * blue) / 0.7152
    turned: Floats = np.clip(grey + np.array([red, green, blue]), 0, 255).astype(np.float32)
    return turned
