"""Names of versions that can be read and said: the first 20 bits of the content version in words.

The same content has the same name everywhere, and nothing has to be stored. The probability that
two of 100 versions have the same name is below 0.5 %.
"""

from __future__ import annotations

_DIGITS = 5
"""Hexadecimal ones: 20 bits, 7 for the first word, 6 for the second, 7 for the third."""
_QUALITIES = (
    "agile airy alert ample astute austere balmy blithe bold brave breezy brief bright brisk "
    "broad calm candid careful casual cheery chilly civic clear clever close coastal cosmic "
    "cosy crisp curious daily dapper daring deep deft direct dry eager early earnest easy "
    "elegant fair fast festive fine fleet fluent formal frank free fresh frosty gentle giant "
    "glad global glossy golden handy happy hardy hearty honest humble jolly keen kind light "
    "lively local lofty long loyal lucid lucky mellow merry mighty mild modern modest neat "
    "noble novel patient placid plucky polite proud quick quiet rapid ready regal rich robust "
    "rugged sage serene sharp silent simple sincere sleek smart smooth snug sober solid spry "
    "steady sturdy subtle sunny sure swift tall tidy tranquil upbeat vivid warm whole wide "
    "wise witty zesty "
).split()
_MATERIALS = (
    "amber azure basalt beige birch brass bronze cedar chalk cherry clay cobalt copper cotton "
    "crimson crystal denim ebony emerald flax flint garnet ginger glass granite hazel indigo "
    "iron ivory jasper lapis lemon lilac lime linen maple marble mint moss ochre olive onyx "
    "pearl pewter pine plum quartz ruby russet sable saffron sandy scarlet sepia silk silver "
    "slate teal topaz umber velvet violet walnut wool "
).split()
_THINGS = (
    "acorn anchor badger bay beacon beaver bison bloom bridge brook canoe canyon castle "
    "cavern cliff cloud comet compass condor coral cove crane creek cricket crown delta "
    "desert dolphin dove dune eagle echo falcon ferry field finch fjord forest fountain fox "
    "garden geyser glacier glade grove harbor harp heron hill horizon inlet island kestrel "
    "kettle koala lagoon lake lantern lark lemur lighthouse lily lynx magnet mallard marsh "
    "meadow meteor moon moose mountain nest oak oasis ocean orbit orchard osprey otter owl "
    "panda pebble pelican planet plateau pond prairie puffin quail raven reef ridge river "
    "robin rocket sail salmon seal sparrow spruce squirrel stork stream summit sun swallow "
    "swan temple thicket tide tiger tower trail tulip tundra turtle valley viaduct village "
    "wagon walrus wave whale willow window wren yak zebra "
).split()


def name_content(content_version: str) -> str:
    """The name of a content version, given whole or by its first digits.

    >>> name_content("c931430849ae")
    'sharp-moss-cove'
    """
    bits = int(content_version[:_DIGITS].ljust(_DIGITS, "0"), 16)
    bits, thing = divmod(bits, len(_THINGS))
    quality, material = divmod(bits, len(_MATERIALS))
    return "-".join((_QUALITIES[quality], _MATERIALS[material], _THINGS[thing]))
