"""The words that captions are made of, in four languages.

Colours and sizes of German, French and Spanish captions follow the noun ("in Rot", "de couleur rouge"), so that no
adjective has to agree with a noun's gender.
"""

from __future__ import annotations

from dataclasses import dataclass

from bdk.demo.kinds import KINDS

_NOUNS = """
person        | ein Mensch       | une personne    | una persona
dog           | ein Hund         | un chien        | un perro
cat           | eine Katze       | un chat         | un gato
bird          | ein Vogel        | un oiseau       | un pájaro
horse         | ein Pferd        | un cheval       | un caballo
sheep         | ein Schaf        | un mouton       | una oveja
cow           | eine Kuh         | une vache       | una vaca
elephant      | ein Elefant      | un éléphant     | un elefante
giraffe       | eine Giraffe     | une girafe      | una jirafa
fish          | ein Fisch        | un poisson      | un pez
tree          | ein Baum         | un arbre        | un árbol
flower        | eine Blume       | une fleur       | una flor
potted plant  | eine Topfpflanze | une plante      | una maceta
car           | ein Auto         | une voiture     | un coche
bus           | ein Bus          | un autobus      | un autobús
truck         | ein Lastwagen    | un camion       | un camión
train         | ein Zug          | un train        | un tren
boat          | ein Boot         | un bateau       | un barco
airplane      | ein Flugzeug     | un avion        | un avión
bicycle       | ein Fahrrad      | un vélo         | una bicicleta
house         | ein Haus         | une maison      | una casa
tent          | ein Zelt         | une tente       | una tienda
traffic light | eine Ampel       | un feu          | un semáforo
stop sign     | ein Stoppschild  | un panneau      | una señal
bench         | eine Bank        | un banc         | un banco
fire hydrant  | ein Hydrant      | une borne       | una boca
umbrella      | ein Schirm       | un parapluie    | un paraguas
backpack      | ein Rucksack     | un sac          | una mochila
suitcase      | ein Koffer       | une valise      | una maleta
ball          | ein Ball         | un ballon       | una pelota
kite          | ein Drachen      | un cerf-volant  | una cometa
surfboard     | ein Surfbrett    | une planche     | una tabla
cup           | eine Tasse       | une tasse       | una taza
bottle        | eine Flasche     | une bouteille   | una botella
bowl          | eine Schüssel    | un bol          | un cuenco
vase          | eine Vase        | un vase         | un jarrón
apple         | ein Apfel        | une pomme       | una manzana
banana        | eine Banane      | une banane      | un plátano
cake          | ein Kuchen       | un gâteau       | un pastel
pizza         | eine Pizza       | une pizza       | una pizza
chair         | ein Stuhl        | une chaise      | una silla
couch         | ein Sofa         | un canapé       | un sofá
bed           | ein Bett         | un lit          | una cama
lamp          | eine Lampe       | une lampe       | una lámpara
tv            | ein Fernseher    | une télévision  | un televisor
laptop        | ein Laptop       | un ordinateur   | un portátil
clock         | eine Uhr         | une horloge     | un reloj
"""


@dataclass(frozen=True)
class Words:
    """One language: every phrase a caption can hold, keyed by the English attribute."""

    nouns: dict[str, str]
    tints: dict[str, str]
    sizes: dict[str, str]
    positions: dict[str, str]
    backgrounds: dict[str, str]
    opening: str
    join: str
    beside: str


def _table(keys: str, phrases: str) -> dict[str, str]:
    return dict(zip(keys.split(), (p.strip() for p in phrases.split(",")), strict=True))


_TINTS = "red yellow green blue purple white"
_SIZES = "small medium large"
_POSITIONS = "left centre right"
_PLACES = "meadow beach street room snow savanna sky water night mountain table"


def _nouns(column: int) -> dict[str, str]:
    rows = [[cell.strip() for cell in row.split("|")] for row in _NOUNS.strip().splitlines()]
    return {row[0]: row[column] for row in rows}


LANGUAGES: dict[str, Words] = {
    "en": Words(
        {name: name for name in KINDS},
        _table(_TINTS, "red, yellow, green, blue, purple, white"),
        _table(_SIZES, "small, medium, large"),
        _table(_POSITIONS, "on the left, in the middle, on the right"),
        _table(
            _PLACES,
            "in a meadow, on a beach, on a street, in a room, in the snow, in the savanna, in the sky, "
            "on the water, at night, in the mountains, on a table",
        ),
        "a picture of",
        "and",
        "next to",
    ),
    "de": Words(
        _nouns(1),
        _table(_TINTS, "in Rot, in Gelb, in Grün, in Blau, in Lila, in Weiß"),
        _table(_SIZES, "klein, mittelgroß, groß"),
        _table(_POSITIONS, "links, in der Mitte, rechts"),
        _table(
            _PLACES,
            "auf einer Wiese, am Strand, auf der Straße, im Zimmer, im Schnee, in der Savanne, am Himmel, "
            "auf dem Wasser, bei Nacht, in den Bergen, auf dem Tisch",
        ),
        "Bild:",
        "und",
        "neben",
    ),
    "fr": Words(
        _nouns(2),
        _table(_TINTS, "en rouge, en jaune, en vert, en bleu, en violet, en blanc"),
        _table(_SIZES, "petit format, format moyen, grand format"),
        _table(_POSITIONS, "à gauche, au milieu, à droite"),
        _table(
            _PLACES,
            "dans un pré, sur la plage, dans la rue, dans une pièce, dans la neige, dans la savane, dans le ciel, "
            "sur l'eau, la nuit, à la montagne, sur une table",
        ),
        "image avec",
        "et",
        "près de",
    ),
    "es": Words(
        _nouns(3),
        _table(_TINTS, "en rojo, en amarillo, en verde, en azul, en morado, en blanco"),
        _table(_SIZES, "tamaño pequeño, tamaño medio, tamaño grande"),
        _table(_POSITIONS, "a la izquierda, al centro, a la derecha"),
        _table(
            _PLACES,
            "en un prado, en la playa, en la calle, en un cuarto, en la nieve, en la sabana, en el cielo, "
            "en el agua, de noche, en la montaña, en una mesa",
        ),
        "imagen con",
        "y",
        "junto a",
    ),
}
"""Phrases of every language, by its two-letter code."""
