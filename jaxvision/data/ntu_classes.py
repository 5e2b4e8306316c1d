"""Short names of NTU RGB+D's 120 classes; the first 60 are those of NTU RGB+D 60."""

_ALONE_60 = """
drink water, eat meal, brush teeth, brush hair, drop, pick up, throw, sit down,
stand up, clap, read, write, tear up paper, put on jacket, take off jacket, put on shoe,
take off shoe, put on glasses, take off glasses, put on hat, take off hat, cheer up,
wave hand, kick something, reach into pocket, hop, jump up, phone call,
play with phone, type on keyboard, point to something, take selfie, check time,
rub hands, nod head, shake head, wipe face, salute, put palms together, cross hands,
sneeze or cough, stagger, fall down, touch head, touch chest, touch back, touch neck,
nausea, fan self
"""
_TOGETHER_60 = """
punch person, kick person, push person, pat on back, point at person, hug,
give object, touch pocket, shake hands, walk towards, walk apart
"""
_ALONE_120 = """
put on headphone, take off headphone, shoot at basket, bounce ball, tennis swing,
juggle balls, hush, flick hair, thumb up, thumb down, OK sign, victory sign,
staple book, count money, cut nails, cut paper, snap fingers, open bottle, sniff,
squat down, toss coin, fold paper, ball up paper, play magic cube, cream on face,
cream on hand, put on bag, take off bag, put into bag, take out of bag, open box,
move heavy object, shake fist, throw up cap, hands up, cross arms, arm circles,
arm swings, run on the spot, butt kicks, cross toe touch, side kick, yawn, stretch,
blow nose
"""
_TOGETHER_120 = """
hit with object, wield knife, knock over, grab stuff, shoot with gun, step on foot,
high five, cheers and drink, carry object, take photo, follow, whisper,
exchange things, support somebody, rock paper scissors
"""

NTU_CLASSES = tuple(
  name.strip()
  for names in (_ALONE_60, _TOGETHER_60, _ALONE_120, _TOGETHER_120)
  for name in names.replace("\n", " ").split(",")
)
