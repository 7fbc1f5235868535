"""Draw the embedded face data set: python -m tools.faces [--out FILE] [--n N] [--sheet PNG]."""

import argparse
import hashlib
import io
import json
import random
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import python_avatars as avatars
import resvg_py
from PIL import Image
from tqdm.auto import tqdm

SIZE = 64
SEED = 0
VIEW = "18 -6 228 228"  # the square of the 264 x 280 drawing that is kept: hair, face, shoulders
SHEET_COLUMNS = 20

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


HAIR_WORDS = {
    "short": "short {} hair",
    "quiff": "a {} quiff",
    "mohawk": "a {} mohawk",
    "shaggy": "shaggy {} hair",
    "curly": "curly {} hair",
    "bun": "{} hair in a bun",
    "bob": "a {} bob",
    "long": "long {} hair",
}
GLASSES_WORDS = {"round": "round glasses", "sunglasses": "sunglasses"}
MOUTH_WORDS = {"smile": "smiling", "serious": "serious", "sad": "sad"}


def listed(words: list[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def a(words: str) -> str:
    """The words with their indefinite article."""
    return ("an " if words[0] in "aeiou" else "a ") + words


def sentence(adjectives: list[str], has: list[str], wears: list[str], place: str = "") -> str:
    """One caption: adjectives, what the person has, what they wear, the background."""
    text = a(" ".join([", ".join(adjectives), "person"]).strip())
    if has:
        text += " with " + listed(has)
    if wears:
        text += (", wearing " if has else " wearing ") + listed(wears)
    if place:
        text += (", " if has and wears else " ") + place
    return text[0].upper() + text[1:] + "."


def captions(face: dict, index: int, seed: int = SEED) -> list[str]:
    """Four captions, from a few of the attributes to all that can be seen."""
    rng = random.Random(f"captions {seed} {index}")
    mood = [MOUTH_WORDS[face["mouth"]]]
    looks = ["bald"] if face["Bald"] else []
    shaven = ["clean-shaven"] if face["facial_hair"] == "none" else []
    has = []
    if face["hair_color"] != "none":
        has.append(HAIR_WORDS[face["hair_style"]].format(face["hair_color"]))
    if face["facial_hair"] != "none":
        has.append(a(f"{face['facial_hair_color']} {face['facial_hair']}"))
    details = [f"{face['skin_color']} skin", f"{face['eyebrows']} eyebrows"]
    details += {"closed": ["closed eyes"], "wink": ["one eye closed"]}.get(face["eyes"], [])
    wears = [GLASSES_WORDS[face["glasses"]]] if face["Eyeglasses"] else []
    if face["Wearing_Hat"]:
        wears.append(a(f"{face['clothing_color']} {face['hat']}"))
    clothes = [a(f"{face['clothing_color']} {face['clothing']}")]
    place = f"on {a(face['background_color'])} background"

    def some(words, least=0):
        """A random part of a list, in its order."""
        count = rng.randint(min(least, len(words)), len(words))
        return [words[i] for i in sorted(rng.sample(range(len(words)), count))]

    striking = looks + has + wears  # what one would name first
    brief = some(striking or clothes, 1)[:2]
    first = sentence(
        some(mood) + [w for w in brief if w in looks],
        [w for w in brief if w in has],
        [w for w in brief if w in wears + clothes],
    )
    second = sentence(
        mood + some(looks + shaven), some(has, 1), some(wears, 1) + some(clothes), rng.choice(["", place])
    )
    third = sentence(some(mood) + looks, some(has) + some(details, 1), some(wears + clothes, 1), place)
    third = rng.choice(["A drawing of ", "A portrait of "]) + third[0].lower() + third[1:]
    full = sentence(mood + looks + shaven, has + details, wears + clothes, place)
    return [first, second, third, full]


def draw_row(index: int, seed: int = SEED) -> tuple[dict, str]:
    """One row of the table, and the hash of its pixels."""
    face = sample_attributes(index, seed)
    image = draw_face(face)
    coded = io.BytesIO()
    image.save(coded, "WEBP", lossless=True, quality=100, method=4)
    row = {
        "image": {"bytes": coded.getvalue(), "path": None},
        "index": index,
        "split": "",
        "unseen": bool(unseen_names(face)),
        "captions": captions(face, index, seed),
        **{name: face[name] for name in BOOLEANS},
        **{name: face[name] for name in CATEGORIES},
    }
    return row, hashlib.sha256(image.tobytes()).hexdigest()


def schema() -> pa.Schema:
    """The table's columns, with the note from which `datasets` knows that they hold images."""
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    fields = [("image", image), ("index", pa.int64()), ("split", pa.string())]
    fields += [("unseen", pa.bool_()), ("captions", pa.list_(pa.string()))]
    fields += [(name, pa.bool_()) for name in BOOLEANS]
    fields += [(name, pa.string()) for name in CATEGORIES]
    features = {
        name: {"dtype": str(kind), "_type": "Value"}
        for name, kind in fields
        if name not in ("image", "captions")
    }
    features["image"] = {"_type": "Image"}
    # "Sequence" is the name that old and new versions of `datasets` both read.
    text = {"dtype": "string", "_type": "Value"}
    features["captions"] = {"feature": text, "_type": "Sequence"}
    note = {"info": {"features": {name: features[name] for name, _ in fields}}}
    made = {name: version(name) for name in ("python-avatars", "resvg-py")} | {"seed": SEED}
    return pa.schema(fields, {"huggingface": json.dumps(note), "faces": json.dumps(made)})


def build(n: int, seed: int = SEED) -> list[dict]:
    """n rows: 10/12 train, 1/12 valid, 1/12 test, of which 30 % are unseen combinations."""
    held_out = n // 12
    rare = int(0.3 * held_out)
    room = {"train": n - 2 * held_out, "valid": held_out, "test": held_out - rare}
    rare_room = Counter({name: rare // len(UNSEEN) for name in UNSEEN})
    rare_room[next(iter(UNSEEN))] += rare % len(UNSEEN)

    def plan():
        """(index, split) of faces that find room; decided before anything is drawn."""
        index = 0
        seen = set()
        while sum(room.values()) or rare_room.total():
            face = sample_attributes(index, seed)
            key = tuple(face.values())
            names = unseen_names(face)
            left = rare_room if names else room
            name = next((name for name in names or room if left[name]), None)
            if name and key not in seen:  # the same face twice would leak between the splits
                seen.add(key)
                left[name] -= 1
                yield index, "test" if names else name
            index += 1

    planned = list(plan())
    rows, hashes = [], set()
    with ProcessPoolExecutor() as pool:
        indices = [index for index, _ in planned]
        drawn = pool.map(draw_row, indices, [seed] * len(indices), chunksize=32)
        bar = tqdm(drawn, "faces", len(planned))
        for (_, split), (row, digest) in zip(planned, bar, strict=True):
            assert digest not in hashes, f"face {row['index']} looks like an earlier one"
            hashes.add(digest)
            rows.append({**row, "split": split})
    return rows


def sheet(rows: list[dict], path: Path, scale: int = 1) -> None:
    """The first 400 faces as one picture."""
    count = min(400, len(rows))
    step = SIZE * scale
    canvas = Image.new("RGB", (SHEET_COLUMNS * step, -(-count // SHEET_COLUMNS) * step), "white")
    for i, row in enumerate(rows[:count]):
        face = Image.open(io.BytesIO(row["image"]["bytes"])).resize((step, step), 0)
        canvas.paste(face, (i % SHEET_COLUMNS * step, i // SHEET_COLUMNS * step))
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/faces.parquet"))
    parser.add_argument("--n", type=int, default=12_000, help="faces in all")
    parser.add_argument("--sheet", type=Path, help="also write the first 400 faces as a PNG")
    args = parser.parse_args()
    rows = build(args.n)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    # The pictures are compressed already; small row groups let a reader stream.
    pq.write_table(pa.Table.from_pylist(rows, schema()), args.out, row_group_size=1000, compression="zstd")
    if args.sheet:
        sheet(rows, args.sheet)
    counts = Counter(row["split"] for row in rows)
    print(f"{args.out}: {dict(counts)}, {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
