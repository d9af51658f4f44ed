"""Update rules on a bowl, a ravine, Rosenbrock's valley and a saddle: the paths they take."""

import chainrule as cr
from chainrule.explain import TERRAINS, Chart, Shown, path_panel, trajectory

RATES = {  # of the rules that follow the gradient itself, and of those that scale it
    "bowl": (0.1, 0.1), "ravine": (0.03, 0.1), "Rosenbrock": (5e-4, 0.05), "saddle": (0.02, 0.05),
}  # fmt: skip
PLAIN = ("SGD", "Momentum", "Nesterov")
SCALED = ("Adagrad", "RMSProp", "Adam", "AdamW")


def optimizers(steps=100):
    numbers, panels = {}, []
    for kind in (PLAIN, SCALED):
        for name, ground in TERRAINS.items():
            paths = {}
            for rule in kind:
                optimizer = getattr(cr.optim, rule)(RATES[name][kind is SCALED])
                paths[rule] = trajectory(ground.function, optimizer, ground.start, steps)
                for coordinate, value in zip("xy", paths[rule][-1], strict=True):
                    numbers[f"{rule} on {name}: {coordinate} after {steps} steps"] = value
            last, field = name == "saddle", (ground.function, paths, ground.extent)
            panels.append(path_panel(*field, title=name, labels=last))
    still = trajectory(TERRAINS["saddle"].function, cr.optim.SGD(0.02), (1.0, 0.0), steps)
    numbers["y of SGD that starts on the ridge of the saddle"] = still[-1, 1]
    chart = Chart(
        *panels, columns=4, size=(240.0, 240.0),
        title="Momentum swings through the ravine, scaled rules cut across it",
    )  # fmt: skip
    return Shown(numbers, {"optimizers": chart})


if __name__ == "__main__":
    print(optimizers())
