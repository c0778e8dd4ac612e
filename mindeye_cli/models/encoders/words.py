"""Common words for naming directions of photographs' CLIP spaces: COCO's categories and more."""

from __future__ import annotations

_COCO = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant,
stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe,
backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite,
baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork,
knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake,
chair, couch, potted plant, bed, dining table, toilet, television, laptop, computer mouse,
remote control, keyboard, mobile phone, microwave, oven, toaster, sink, refrigerator, book, clock,
vase, scissors, teddy bear, hair drier, toothbrush
"""
_MORE = """
face, hand, crowd, man, woman, child, baby, animal, food, fruit, vegetable, meal, drink, plant,
flower, tree, forest, grass, field, mountain, hill, rock, snow, ice, sand, beach, ocean, wave,
river, lake, water, sky, cloud, sunset, night, rain, street, road, bridge, city, building, house,
tower, church, castle, room, kitchen, bathroom, bedroom, office, store, restaurant, stadium,
airport, railway station, harbour, park, playground, zoo, farm, garden, wall, window, door, floor,
stairs,
furniture, tool, machine, vehicle, toy, clothes, shoe, hat, glasses, jewellery, text, sign, letter,
number, map, painting, statue, screen, lamp, fire, smoke, sport, baseball, tennis, skiing, surfing,
skateboarding, riding, running, eating, sleeping, playing, red, orange colour, yellow, green, blue,
purple, pink, brown, black, white, grey, black and white photograph, dark, bright, blurry, close-up,
aerial view, indoors, outdoors, landscape, portrait, pattern, stripes, texture
"""


def _words(text: str) -> list[str]:
    return [" ".join(word.split()) for word in text.split(",")]


COMMON_WORDS = tuple(dict.fromkeys(_words(_COCO) + _words(_MORE)))
