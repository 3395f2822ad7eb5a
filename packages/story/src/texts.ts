/** What the members say unless they are given something better. */
export const defaultTexts: readonly string[] = [
  "Good morning, everybody. Did the parcel arrive?",
  "It did. Two boxes, one of them open.",
  "Which one? The blue one had the lamps in it.",
  "The blue one, I am afraid. Nothing seems to be missing.",
  "Please count again; there should be fourteen.",
  "Fourteen, and a cable that nobody ordered.",
  "Keep the cable. We never have enough of them.",
  "Größe und Farbe stimmen, aber die Rechnung fehlt.",
  "The invoice came by mail: 1,204.50 €, due on Friday.",
  "I can pay it today, if somebody sends me the number.",
  "会議は三時からです。",
  "Three o'clock, then. I will bring the drawings.",
  "Could we meet upstairs? The other room has no window.",
  "Upstairs is fine 👍",
  "Remember that Oscar leaves the project this week.",
  "Then we take him out of the group when we have said goodbye.",
];
