"""Small talk: greetings, who it is, names, feelings, jokes, and what it does not know."""

from random import Random

from .base import Turn, pick, question_table, reword, split_lines

_GREETINGS = (
    "Hi|Hello|Hey|Hi there|Hello there|Good morning|Good evening|Good afternoon|Hey there"
    "|Hello!|Hi!|Howdy|Greetings|Hello Corral|Hi corral|Hello, world|hey!|Hiya|yo|Good day"
)
_GREETED = (
    "Hello! How can I help you today?",
    "Hi! What can I do for you?",
    "Hello! Nice to meet you.",
    "Hi there! Ask me something.",
    "Hello! What would you like to know?",
)
_TABLE = question_table("talk")
_JOKES = split_lines("""
Why did the horse go to bed? It was a little hoarse.
What do you call a bear with no teeth? A gummy bear.
Why did the computer catch a cold? It left its windows open.
What do you call a sleeping bull? A bulldozer.
Why do bees have sticky hair? They use honeycombs.
What is orange and sounds like a parrot? A carrot.
Why did the cookie go to the doctor? It felt crummy.
How does the moon cut its hair? Eclipse it.
""")
_ASK_JOKE = split_lines("""
Tell me a joke.
Do you know a joke?
Make me laugh.
Say something funny.
Can you tell me a joke?
I want to hear a joke.
A joke, please.
Another joke!
Tell me something funny.
Give me a joke.
""")
_UNKNOWN = split_lines("""
Who won the football world cup in {n}?
Explain quantum field theory.
What is the stock price of that company?
Write a contract for my landlord.
Summarise the history of the Roman Empire.
Who is the president of that country?
What happened on the news today?
Prove the Riemann hypothesis.
How do I repair the engine of my car?
What is the square root of {n}7?
Explain how a compiler optimises loops.
Who won the Nobel prize in {n}?
Which medicine should I take for my back?
Translate this book into Latin.
Explain the theory of relativity.
How do I win at chess?
Write an operating system.
What is the population of the Earth in {n}?
How does a nuclear reactor work?
Tell me about the French Revolution.
How do I invest my money?
What is the GDP of Belgium?
Give me a recipe for lasagne.
Who was the king in {n}?
Explain blockchain to me.
What does the law say about this?
Recommend me a film.
Which phone should I buy?
""")
_DO_NOT_KNOW = (
    "I am sorry, I do not know that. I am a very small model.",
    "That is too hard for me. I am a very small model.",
)
_NAME_LIST = """
Anna Ben Clara David Emma Felix Grace Hugo Iris Jack Karen Leo Maria Nina Oscar Paula Quinn Rosa
Sam Tina Umar Vera Walter Xenia Yusuf Zoe Alice Bob Carlos Diana Erik Fatima Georg Hanna Ivan
Julia Kofi Lucy Marco Noah Olga Peter Rita Sven Tom Ursula Victor Wanda Yara Zack Amir Bella Cyrus
Dora Elias Frida Gino Helga Igor Jonas Kira Lars Mona Nils Otto Petra Rolf Sofia Theo Uma Vito
Wendy
"""
NAMES = tuple(_NAME_LIST.split())
_TELL_NAME = [
    "My name is {n}.",
    "I am {n}.",
    "I'm {n}.",
    "Call me {n}.",
    "Hi, I am {n}.",
    "Hello, my name is {n}.",
    "You can call me {n}.",
    "This is {n}.",
    "People call me {n}.",
]
_ASK_NAME = [
    "What is my name?",
    "What's my name?",
    "Do you remember my name?",
    "Who am I?",
    "What did I say my name was?",
    "Can you tell me my name?",
    "Say my name.",
]


def greeting(rng: Random) -> list[Turn]:
    """A greeting."""
    hello = pick(rng, _GREETINGS.split("|"))
    hello += pick(rng, ["", "", "!", "."]) if hello[-1].isalpha() else ""
    return [Turn(hello, pick(rng, _GREETED[:1] * 6 + _GREETED))]


def small_talk(rng: Random) -> list[Turn]:
    """Small talk, a joke, or something too hard for so small a model."""
    roll = rng.random()
    if roll < 0.12:
        return [Turn(reword(rng, pick(rng, _ASK_JOKE)), pick(rng, _JOKES))]
    if roll < 0.27:
        question = pick(rng, _UNKNOWN).format(n=rng.randint(1400, 2030))
        return [Turn(reword(rng, question), _DO_NOT_KNOW[0])]
    questions, answer = pick(rng, _TABLE)
    return [Turn(reword(rng, pick(rng, questions)), answer)]


def named(rng: Random, between: list[Turn]) -> list[Turn]:
    """The user says their name, talks of something else, and asks for the name."""
    name = pick(rng, NAMES)
    told = Turn(pick(rng, _TELL_NAME).format(n=name), f"Nice to meet you, {name}!")
    asked = Turn(reword(rng, pick(rng, _ASK_NAME)), f"Your name is {name}.", f"{name}.")
    return [told, *between, asked]
