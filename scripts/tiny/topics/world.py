"""Capitals, continents, languages and landmarks, with follow-up questions."""

from random import Random

from .base import Turn, join_and, pick, reword, split_lines
from .world_facts import COUNTRIES, WITH_SIGHTS, Country

CAPITAL = split_lines("""
What is the capital of {c}?
What's the capital of {c}?
What is the capital city of {c}?
Which city is the capital of {c}?
What city is the capital of {c}?
Capital of {c}?
The capital of {c}?
The capital of {c} is what?
Tell me the capital of {c}.
Name the capital of {c}.
Name the capital city of {c}.
Can you tell me the capital of {c}?
Could you tell me what the capital of {c} is?
Do you know the capital of {c}?
Do you know what the capital of {c} is?
I need to know the capital of {c}.
I would like to know the capital of {c}.
I want to know which city is the capital of {c}.
What is {c}'s capital?
What's {c}'s capital city?
Which capital does {c} have?
What do you call the capital of {c}?
Give me the capital of {c}.
Please name the capital of {c}.
Where is the government of {c}?
In {c}, which city is the capital?
If I visit the capital of {c}, which city am I in?
My teacher asked for the capital of {c}. What is it?
I am writing about {c}. What is its capital?
Remember the capital of {c}?
""")
NEXT_CAPITAL = split_lines("""
And {c}?
What about {c}?
And of {c}?
And the capital of {c}?
How about {c}?
And for {c}?
And what about {c}?
Same question for {c}.
""")
COUNTRY_OF = split_lines("""
{k} is the capital of which country?
Which country has {k} as its capital?
Which country is {k} the capital of?
What country is {k} in?
In which country is {k}?
Where is {k}?
Of which country is {k} the capital?
{k} is in which country?
""")
LANDMARKS_THERE = split_lines("""
What are some famous landmarks there?
Which landmarks are there?
What can I see there?
What is there to see?
What should I visit there?
Name some sights there.
Any famous landmarks?
What are the famous landmarks there?
Tell me some landmarks of that city.
What are some landmarks in that city?
Which sights should I see there?
What could a tourist see there?
What is it famous for?
I am going there. What should I see?
Tell me about its landmarks.
""")
LANDMARKS = split_lines("""
What are some famous landmarks in {k}?
What can I see in {k}?
What should I visit in {k}?
Name some sights in {k}.
Name three landmarks in {k}.
Which landmarks are in {k}?
Tell me about the landmarks of {k}.
I am travelling to {k}. What should I see?
What is {k} famous for?
What is there to see in {k}?
List some sights of {k}.
I will visit {k}. Any sights?
What are the most famous places in {k}?
""")
CONTINENT = split_lines("""
Which continent is {c} in?
On which continent is {c}?
What continent is {c} on?
Where in the world is {c}?
{c} is on which continent?
Tell me the continent of {c}.
""")
CONTINENT_THERE = split_lines("""
Which continent is it on?
What continent is that?
On which continent is that country?
And which continent is that in?
""")
LANGUAGE = split_lines("""
What language do people speak in {c}?
Which language is spoken in {c}?
What do they speak in {c}?
What is the language of {c}?
Which language do they speak in {c}?
Tell me the language of {c}.
""")
LANGUAGE_THERE = split_lines("""
What language do they speak there?
Which language is spoken there?
And what is the language there?
What do people speak there?
""")


def plain_name(rng: Random, country: Country) -> str:
    """The country's name, now and then without its article or as people shorten it."""
    name = country.name
    if name == "the United States" and rng.random() < 0.5:
        return pick(rng, ["the USA", "the US", "America"])
    if name == "the United Kingdom" and rng.random() < 0.5:
        return pick(rng, ["the UK", "England", "Britain"])
    return name


def _sentence(name: str) -> str:
    return name[0].upper() + name[1:]


def capital(rng: Random, country: Country, wordings: list[str]) -> Turn:
    """A question for the country's capital."""
    return Turn(
        reword(rng, pick(rng, wordings).format(c=plain_name(rng, country))),
        f"The capital of {country.name} is {country.capital}.",
        f"{country.capital}.",
        f"The user asks for the capital of {country.name}. That is {country.capital}.",
    )


def landmarks(rng: Random, country: Country, wordings: list[str]) -> Turn:
    """A question for what there is to see in the capital."""
    city = country.capital
    answer = f"Famous landmarks in {city} include {join_and(country.landmarks)}."
    return Turn(
        reword(rng, pick(rng, wordings).format(k=city)),
        answer,
        thought=f"The user asks about sights. The city is {city} in {country.name}.",
    )


def continent(rng: Random, country: Country, wordings: list[str]) -> Turn:
    """A question for the country's continent."""
    return Turn(
        reword(rng, pick(rng, wordings).format(c=plain_name(rng, country))),
        f"{_sentence(country.name)} is in {country.continent}.",
        f"{country.continent}.",
        f"The country is {country.name}. It lies in {country.continent}.",
    )


def language(rng: Random, country: Country, wordings: list[str]) -> Turn:
    """A question for the language people speak."""
    return Turn(
        reword(rng, pick(rng, wordings).format(c=plain_name(rng, country))),
        f"People in {country.name} speak {country.language}.",
        f"{country.language}.",
        f"The country is {country.name}. People there speak {country.language}.",
    )


def capitals(rng: Random) -> list[Turn]:
    """A capital, often followed by questions that only make sense after it."""
    roll = rng.random()
    country = pick(rng, WITH_SIGHTS if roll < 0.35 else COUNTRIES)
    turns = [capital(rng, country, CAPITAL)]
    if roll < 0.35:
        turns.append(landmarks(rng, country, LANDMARKS_THERE))
    elif roll < 0.50:
        country = pick(rng, WITH_SIGHTS)
        turns.append(capital(rng, country, NEXT_CAPITAL))
        if rng.random() < 0.5:
            turns.append(landmarks(rng, country, LANDMARKS_THERE))
    elif roll < 0.60:
        turns.append(language(rng, country, LANGUAGE_THERE))
    elif roll < 0.65:
        turns.append(continent(rng, country, CONTINENT_THERE))
    return turns


def places(rng: Random) -> list[Turn]:
    """One question about a country or its capital."""
    roll = rng.random()
    country = pick(rng, WITH_SIGHTS if roll < 0.35 else COUNTRIES)
    if roll < 0.35:
        return [landmarks(rng, country, LANDMARKS)]
    if roll < 0.5:
        return [continent(rng, country, CONTINENT)]
    if roll < 0.7:
        return [language(rng, country, LANGUAGE)]
    question = Turn(
        reword(rng, pick(rng, COUNTRY_OF).format(k=country.capital)),
        f"{country.capital} is the capital of {country.name}.",
        f"{_sentence(country.name)}.",
        f"The city is {country.capital}. It is the capital of {country.name}.",
    )
    if country.landmarks and rng.random() < 0.4:
        return [question, landmarks(rng, country, LANDMARKS_THERE)]
    return [question]


def fact_sentences(rng: Random) -> str:
    """A few plain sentences about one country, for text completion."""
    country = pick(rng, COUNTRIES)
    parts = [
        f"The capital of {country.name} is {country.capital}.",
        f"{_sentence(country.name)} is in {country.continent}.",
        f"People there speak {country.language}.",
    ]
    if country.landmarks:
        parts.append(f"In {country.capital} you can see {join_and(country.landmarks)}.")
    return " ".join(parts)
