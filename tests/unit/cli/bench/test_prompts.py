from app.cli.bench.prompts import WORDS, Calibration, PromptWriter, calibration_text

CALIBRATION = Calibration(tokens_per_word=1.0, overhead_tokens=7, measured=True)


def test_same_seed_and_key_give_the_same_prompt() -> None:
    one, two = PromptWriter(CALIBRATION, 5), PromptWriter(CALIBRATION, 5)
    assert one.prompt(100, "a") == two.prompt(100, "a")
    assert one.prompt(100, "a") != one.prompt(100, "b")
    assert one.prompt(100, "a") != PromptWriter(CALIBRATION, 6).prompt(100, "a")


def test_lengths_follow_the_calibration() -> None:
    writer = PromptWriter(Calibration(2.0, 10, measured=True), 0)
    assert len(writer.prompt(1010, "a").split()) == 500
    assert len(writer.passage(100, "a").split()) == 50
    assert len(writer.prompt(3, "a").split()) == 1


def test_every_word_is_used_equally_often() -> None:
    words = PromptWriter(CALIBRATION, 0).passage(3 * len(WORDS), "a").split()
    assert {words.count(word) for word in WORDS} == {3}


def test_no_word_is_listed_twice() -> None:
    assert len(set(WORDS)) == len(WORDS)


def test_fit_recovers_a_servers_way_of_counting() -> None:
    counts = [9 + 2 * len(calibration_text(rounds).split()) for rounds in (1, 3)]
    assert Calibration.fit(*counts) == Calibration(2.0, 9, measured=True)


def test_fit_without_usage_is_an_assumption() -> None:
    assert not Calibration.fit(0, 0).measured
