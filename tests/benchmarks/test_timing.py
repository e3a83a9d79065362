from benchmarks.timing import best_times


def test_the_shortest_of_each_functions_times():
    now = 0.0
    durations = {"a": [3.0, 1.0, 2.0], "b": [0.5, 4.0, 5.0]}

    def run(name):
        nonlocal now
        now += durations[name].pop(0)

    best = best_times([lambda: run("a"), lambda: run("b")], repeats=3, clock=lambda: now)
    assert best == [1.0, 0.5]
