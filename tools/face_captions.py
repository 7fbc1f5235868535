"""What a drawn face is said to be: four sentences each, from brief to complete."""

import random

from tools.face_parts import SEED

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
