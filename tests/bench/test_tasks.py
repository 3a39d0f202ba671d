from __future__ import annotations

from appliance.artefact.manifest import TOKENIZER
from appliance.artefact.tokenizer import load_tokenizer
from appliance.layout import Layout
from bench.model import prepare_model
from bench.tasks import EDIT, SUMMARY
from export.presets import DEFAULT
from tests.export.progress import Steps


def test_tasks_are_questions_in_the_models_own_template_with_the_text_that_answers_repeat(layout: Layout):
    model = prepare_model(layout, "tiny", [DEFAULT], Steps())
    tasks = model.tasks
    folder = model.artefacts[DEFAULT].folder
    tokenizer = load_tokenizer((folder / TOKENIZER).read_bytes())
    texts = {
        kind: [tokenizer.decode(ids, skip_special_tokens=False) for ids in several]
        for kind, several in tasks.prompts.items()
    }
    assert set(texts) == {EDIT, SUMMARY}
    assert all(text.startswith("<|im_start|>user\n") for several in texts.values() for text in several)
    assert all(text.endswith("<|im_start|>assistant\n") for several in texts.values() for text in several)
    assert "class RateLimiter" in texts[EDIT][0]
    assert "heat pump" in texts[SUMMARY][0]
    assert "Grant of Patent License" in texts[SUMMARY][2]
    assert set(tasks.end_tokens) == set(model.artefacts[DEFAULT].manifest.generation.eos_token_ids)
