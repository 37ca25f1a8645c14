"""Draws the training images: shapes/<class>/<n>.png, 48x48."""
import os
import random

from PIL import Image, ImageDraw

CLASSES = ["circle", "square", "triangle"]


def draw(cls, rnd, size=48):
    bg = tuple(rnd.randint(150, 255) for _ in range(3))
    fg = tuple(rnd.randint(0, 120) for _ in range(3))
    img = Image.new("RGB", (size, size), bg)
    d = ImageDraw.Draw(img)
    r = rnd.randint(9, 17)
    cx, cy = rnd.randint(r, size - r), rnd.randint(r, size - r)
    if cls == "circle":
        d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=fg)
    elif cls == "square":
        d.rectangle([cx - r, cy - r, cx + r, cy + r], fill=fg)
    else:
        d.polygon([(cx, cy - r), (cx - r, cy + r), (cx + r, cy + r)], fill=fg)
    for _ in range(rnd.randint(0, 4)):  # some dirt
        x, y = rnd.randint(0, size), rnd.randint(0, size)
        d.line([x, y, x + rnd.randint(-12, 12), y + rnd.randint(-12, 12)],
               fill=tuple(rnd.randint(0, 255) for _ in range(3)), width=2)
    return img


def make_images(root, per_class=200):
    rnd = random.Random(11)
    for cls in CLASSES:
        os.makedirs(os.path.join(root, cls), exist_ok=True)
        for i in range(per_class):
            draw(cls, rnd).save(os.path.join(root, cls, "%03d.png" % i))


if __name__ == "__main__":
    make_images("shapes")
