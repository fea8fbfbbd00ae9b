# Notes of three lengths to beats.
BEATS = {"o": 4, "o|": 2, ".|": 1}
def beats(score):
    return [BEATS[note] for note in score.split()]
result = beats("o o| .| o| o| .| .| .| .| o o")
