"""A folder of documents to search in, and questions with the document that answers them."""

from __future__ import annotations

DOCUMENTS = {
    "pump.md": "Pump P-7: change the oil every 2,000 operating hours. Use oil ISO VG 46 only.",
    "filter.md": "The spare filter for pump P-7 has the part number F-1180. Two filters are in cabinet 4.",
    "access.md": "Only staff with the training Pumps II may open the housing of a pump.",
    "canteen.md": "The canteen is open from 11:30 to 14:00. On Fridays there is fish.",
}
QUESTIONS = {
    "Which oil does the pump need?": ("pump.md", "46"),
    "In which cabinet are the spare filters?": ("filter.md", "4"),
    "When can I have lunch?": ("canteen.md", "11:30"),
}


def prompt(passage: str, question: str) -> str:
    """The question with its passage."""
    return f"{passage}\n\nAnswer in one short sentence with the text above. {question}"
