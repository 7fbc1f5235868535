"""The drawn faces: what they can have, how that is chosen, and how a face is drawn."""

import io
import random

import python_avatars as avatars
import resvg_py
from PIL import Image

SIZE = 64
SEED = 0
VIEW = "18 -6 228 228"  # the square of the 264 x 280 drawing that is kept: hair, face, shoulders

# Few categories on purpose: each one is told apart at 64 pixels and drawn by a tiny model.
HAIR_STYLES = {
    "bald": avatars.HairType.NONE,
    "short": avatars.HairType.CAESAR,
    "quiff": avatars.HairType.SHORT_WAVED,
    "mohawk": avatars.HairType.MOHAWK,
    "shaggy": avatars.HairType.SHAGGY,
    "curly": avatars.HairType.CURLY,
    "bun": avatars.HairType.BUN,
    "bob": avatars.HairType.BOB,
    "long": avatars.HairType.STRAIGHT_STRAND,
}
HATS = {"beanie": avatars.HatType.WINTER_HAT_3, "turban": avatars.HatType.TURBAN}
GLASSES = {
    "none": avatars.AccessoryType.NONE,
    "round": avatars.AccessoryType.ROUND,
    "sunglasses": avatars.AccessoryType.WAYFARERS,
}
FACIAL_HAIR = {
    "none": avatars.FacialHairType.NONE,
    "beard": avatars.FacialHairType.BEARD_MEDIUM,
    "moustache": avatars.FacialHairType.MOUSTACHE_MAGNUM,
}
MOUTHS = {
    "smile": avatars.MouthType.BIG_SMILE,
    "serious": avatars.MouthType.SERIOUS,
    "sad": avatars.MouthType.SAD,
}
EYES = {"open": avatars.EyeType.DEFAULT, "closed": avatars.EyeType.CLOSED, "wink": avatars.EyeType.WINK}
EYEBROWS = {"flat": avatars.EyebrowType.FLAT_NATURAL, "raised": avatars.EyebrowType.RAISED_EXCITED}
CLOTHING = {
    "t-shirt": avatars.ClothingType.SHIRT_CREW_NECK,
    "hoodie": avatars.ClothingType.HOODIE,
    "sweater": avatars.ClothingType.COLLAR_SWEATER,
}
# Multiples of 8, so that the rounding in draw_face keeps every flat colour.
HAIR_COLORS = {
    "black": "#181818",
    "brown": "#482818",
    "blond": "#E8C050",
    "red": "#C84018",
    "gray": "#909098",
    "blue": "#4068C8",
}
SKIN_COLORS = {
    "pale": "#FFE0C8",
    "light": "#F0C8A0",
    "medium": "#E0A878",
    "tan": "#C88850",
    "brown": "#A86840",
    "dark": "#805030",
}
CLOTHING_COLORS = {
    "red": "#E84850",
    "yellow": "#F0C020",
    "green": "#30A060",
    "blue": "#3878D8",
    "purple": "#8858C8",
    "black": "#283038",
}
BACKGROUND_COLORS = {
    "pink": "#F8C8D8",
    "yellow": "#FFF0B0",
    "green": "#C0E8C8",
    "blue": "#B8E0F8",
    "purple": "#D0C0F8",
    "gray": "#D8D8D8",
}

# Weights; a table that is missing here is uniform.
WEIGHTS = {
    "hat": {"none": 64, "beanie": 18, "turban": 18},
    "hair_style": {name: 2 if name == "bald" else 1 for name in HAIR_STYLES},
    "glasses": {"none": 55, "round": 23, "sunglasses": 22},
    "facial_hair": {"none": 40, "beard": 35, "moustache": 25},
    "mouth": {"smile": 46, "serious": 27, "sad": 27},
    "eyes": {"open": 50, "closed": 25, "wink": 25},
}

CATEGORIES = {
    "hair_style": [*HAIR_STYLES, "hidden"],
    "hair_color": ["none", *HAIR_COLORS],
    "skin_color": [*SKIN_COLORS],
    "clothing": [*CLOTHING],
    "clothing_color": [*CLOTHING_COLORS],
    "background_color": [*BACKGROUND_COLORS],
    "eyes": [*EYES, "hidden"],
    "eyebrows": [*EYEBROWS],
    "mouth": [*MOUTHS],
    "facial_hair": [*FACIAL_HAIR],
    "facial_hair_color": ["none", *HAIR_COLORS],
    "glasses": [*GLASSES],
    "hat": ["none", *HATS],
}
BOOLEANS = (
    "Bald Black_Hair Blond_Hair Brown_Hair Eyeglasses Gray_Hair Mustache No_Beard Smiling Wearing_Hat"
).split()

# Combinations that train and valid never show.
UNSEEN = {
    "glasses + hat + beard": {"Eyeglasses": True, "Wearing_Hat": True, "No_Beard": False},
    "blond + sunglasses": {"Blond_Hair": True, "glasses": "sunglasses"},
    "bald + smiling + moustache": {"Bald": True, "Smiling": True, "Mustache": True},
    "blue hair + pink background": {"hair_color": "blue", "background_color": "pink"},
}


def unseen_names(face: dict) -> list[str]:
    """Names of the held-out combinations that a face shows."""
    return [name for name, rule in UNSEEN.items() if all(face[key] == rule[key] for key in rule)]


def sample_attributes(index: int, seed: int = SEED) -> dict:
    """All attributes of face number `index`, a pure function of (index, seed)."""
    # A string seed is hashed with SHA-512: the same on every platform and Python version.
    rng = random.Random(f"face {seed} {index}")

    def pick(column, names=()):
        weights = WEIGHTS.get(column) or dict.fromkeys(names, 1)
        return rng.choices(list(weights), list(weights.values()))[0]

    hat = pick("hat")
    style = pick("hair_style")
    color = pick("hair_color", HAIR_COLORS)
    facial_hair = pick("facial_hair")
    glasses = pick("glasses")
    eyes = pick("eyes")
    face = {
        "hair_style": "hidden" if hat != "none" else style,
        "hair_color": "none" if hat != "none" or style == "bald" else color,
        "skin_color": pick("skin_color", SKIN_COLORS),
        "clothing": pick("clothing", CLOTHING),
        "clothing_color": pick("clothing_color", CLOTHING_COLORS),
        "background_color": pick("background_color", BACKGROUND_COLORS),
        "eyes": "hidden" if glasses == "sunglasses" else eyes,
        "eyebrows": pick("eyebrows", EYEBROWS),
        "mouth": pick("mouth"),
        "facial_hair": facial_hair,
        # A beard has the colour of the hair, if there is hair to be seen.
        "facial_hair_color": "none" if facial_hair == "none" else color,
        "glasses": glasses,
        "hat": hat,
    }
    return {**face, **booleans(face)}


def booleans(face: dict) -> dict:
    """The attributes that carry CelebA's names, from the categories."""
    return {
        "Bald": face["hair_style"] == "bald",
        "Black_Hair": face["hair_color"] == "black",
        "Blond_Hair": face["hair_color"] == "blond",
        "Brown_Hair": face["hair_color"] == "brown",
        "Eyeglasses": face["glasses"] != "none",
        "Gray_Hair": face["hair_color"] == "gray",
        "Mustache": face["facial_hair"] == "moustache",
        "No_Beard": face["facial_hair"] != "beard",
        "Smiling": face["mouth"] == "smile",
        "Wearing_Hat": face["hat"] != "none",
    }


def draw_face(face: dict, size: int = SIZE) -> Image.Image:
    """The picture of one face, (size, size) RGB, a pure function of its attributes."""
    hatless = face["hat"] == "none"
    svg = avatars.Avatar(
        style=avatars.AvatarStyle.TRANSPARENT,
        top=HAIR_STYLES[face["hair_style"]] if hatless else HATS[face["hat"]],
        hat_color=CLOTHING_COLORS[face["clothing_color"]],  # a hat matches the clothing
        hair_color=HAIR_COLORS.get(face["hair_color"], "#000000"),
        facial_hair=FACIAL_HAIR[face["facial_hair"]],
        facial_hair_color=HAIR_COLORS.get(face["facial_hair_color"], "#000000"),
        skin_color=SKIN_COLORS[face["skin_color"]],
        eyes=EYES.get(face["eyes"], EYES["open"]),
        eyebrows=EYEBROWS[face["eyebrows"]],
        nose=avatars.NoseType.DEFAULT,
        mouth=MOUTHS[face["mouth"]],
        accessory=GLASSES[face["glasses"]],
        clothing=CLOTHING[face["clothing"]],
        clothing_color=CLOTHING_COLORS[face["clothing_color"]],
    ).render()
    svg = svg.replace('viewBox="0 0 264 280"', f'viewBox="{VIEW}"', 1)
    svg = svg.replace('width="264px" height="280px"', "", 1)
    png = resvg_py.svg_to_bytes(
        svg_string=svg,
        background=BACKGROUND_COLORS[face["background_color"]],
        skip_system_fonts=True,  # no text in these drawings
        width=2 * size,
        height=2 * size,
    )
    # Averages of 2 x 2 pixels: smooth edges without the ringing of sharper filters.
    image = Image.open(io.BytesIO(bytes(png))).convert("RGB").reduce(2)
    # Multiples of 8 (at most 4 of 255 away, not visible): the file shrinks by 40 %.
    return image.point(lambda value: min(255, (value + 4) // 8 * 8))
