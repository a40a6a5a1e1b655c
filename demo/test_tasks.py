"""Questions have one right answer, and captions can be read back."""

import numpy as np
import pytest

from demo.classes import CLASSES, PLACES
from demo.tasks import TASKS, ask, caption, entity_phrase, neighbour, parse_caption
from demo.vocab import UNK, encode, encode_chat, word_ids
from demo.world import blank_scene, sample_scene


def test_captions_read_back_to_the_truth():
    for i in range(300):
        scene = sample_scene(i, "train")
        parsed = parse_caption(caption(scene))
        assert parsed is not None
        assert parsed[1] == scene.background.word
        assert sorted((entity_phrase(e), p) for e, p in parsed[0]) == sorted((entity_phrase(o.entity), o.place) for o in scene.objects)


@pytest.mark.parametrize(
    "text", ["", "a dog", "dog at the left on a red background", "a dog at the elsewhere on a red background", "a dog at the left on a red"]
)
def test_a_caption_that_is_not_well_formed_is_refused(text):
    assert parse_caption(text) is None


def test_a_blank_picture_has_a_caption():
    assert caption(blank_scene("grey")) == "nothing on a grey background"


@pytest.mark.parametrize("task", TASKS)
def test_every_task_asks_in_the_vocabulary_and_in_several_wordings(task):
    rng = np.random.default_rng(0)
    words = word_ids()
    forms = set()
    for i in range(600):
        chat = ask(sample_scene(i, "test"), task, rng)
        if chat is None:
            continue
        assert chat.task == task
        ids, own = encode_chat(chat)
        assert len(ids) == len(own)
        assert words[UNK] not in ids
        forms.add(" ".join(chat.turns[0][0].split()[:2]))
    assert len(forms) >= 2


def test_presence_is_balanced_and_true():
    rng = np.random.default_rng(1)
    answers = []
    for i in range(1500):
        scene = sample_scene(i, "test")
        chat = ask(scene, "presence", rng)
        assert chat is not None
        question, answer = chat.turns[0]
        phrases = {entity_phrase(o.entity) for o in scene.objects} | {"sign" for o in scene.objects if o.kind == "word"}
        tail = f" {question.removesuffix(' in the picture ?').removesuffix(' ?')}"
        assert any(tail.endswith((f" a {p}", f" an {p}")) for p in phrases) == (answer == "yes"), question
        answers.append(answer)
    assert 0.42 < np.mean([a == "yes" for a in answers]) < 0.58


def test_beside_means_the_nearest_in_the_same_row():
    for i in range(200):
        scene = sample_scene(i, "train")
        for o in scene.objects:
            right = neighbour(scene, o, "right")
            if right is not None:
                a, b = PLACES.index(o.place), PLACES.index(right.place)
                assert a // 3 == b // 3
                assert b > a
                assert neighbour(scene, right, "left") == o


def test_two_turn_chats_have_two_turns():
    rng = np.random.default_rng(2)
    chats = [c for i in range(100) if (c := ask(sample_scene(i, "test"), "chat", rng))]
    assert chats
    assert all(len(c.turns) == 2 for c in chats)


def test_written_words_include_names_of_classes():
    assert {"cat", "dog", "car"} <= {c.name for c in CLASSES}
    assert len(encode("a sign that says cat")) == 5
