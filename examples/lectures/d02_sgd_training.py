"""Training: a new order each epoch, mini-batches, when to stop, and where to start."""

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Line, Panel, Rule, Shown
from chainrule.nn import Activation, Linear, ReLU, Sigmoid, initializers

KURTOSIS = {"uniform": 1.8, "normal": 3.0}  # of the drawn distribution


def variance_of(name, draws=1000, seed=0):
    """A million draws: how far their variance lies from what it should be, in standard errors."""
    drawn = initializers.get(name)(cr.ops.random.key(seed), (draws, draws), np.dtype("float64"))
    wanted = {"he": 2 / draws, "glorot": 1 / draws, "lecun": 1 / draws, "orthogonal": 1 / draws,
              "normal": 0.05**2, "uniform": 0.1**2 / 12}[name.split("_")[0]]  # fmt: skip
    kurtosis = KURTOSIS["uniform" if "uniform" in name else "normal"]
    return abs(drawn.var() - wanted) / (wanted * np.sqrt((kurtosis - 1) / drawn.size))


def each_row_once(rows=16, epochs=3):
    """Whether an epoch adds 2^row of every row: only each row once makes 2^rows - 1 of it."""
    model = cr.Network([Linear(1, 1, name="sum", weights="zeros")], dtype="float64")
    targets, orders = 2.0 ** np.arange(rows), []
    before = 0.0
    for epoch in range(epochs):
        history = model.fit(np.zeros((rows, 1)), targets, loss=lambda p, y: -cr.mean(p * y),
                            optimizer=cr.optim.SGD(1.0), epochs=1, batch_size=1, seed=epoch,
                            progress=False)  # fmt: skip
        orders.append(history.step_losses.ravel())
        before += 2**rows - 1
    return model["sum"].b[0] == before, not np.array_equal(orders[0], orders[1])


def sgd_training(noise=0.35, epochs=150, patience=15, seed=0):
    X, y = cr.data.two_moons(200, noise=noise, seed=seed)
    held_out = cr.data.two_moons(200, noise=noise, seed=seed + 1)

    def trained(batch_size, **settings):
        layers = [Linear(2, 32), Activation(ReLU()), Linear(32, 1), Activation(Sigmoid())]
        model = cr.Network(layers, seed=seed)
        history = model.fit(X, y, optimizer=cr.optim.Adam(0.02), batch_size=batch_size, seed=seed,
                            validation=held_out, progress=False, **settings)  # fmt: skip
        return model, history

    model, history = trained(20, epochs=epochs, early_stopping=patience)
    p = model.predict(held_out[0])[:, 0].astype(float)
    restored = -np.mean(np.log(np.where(held_out[1] == 1, p, 1 - p)))
    losses = history["validation_loss"]
    once, another = each_row_once()
    numbers = {"each row once an epoch": once, "another order in another epoch": another,
               "epochs until it stopped": history.epochs, "best epoch": history.best_epoch,
               "restored loss less the best": restored - losses.min(),
               "last loss less the best": losses[-1] - losses.min()}  # fmt: skip
    names = [name for name in initializers.INITIALIZERS if name not in ("zeros", "constant")]
    numbers |= {f"variance of {name}, in standard errors": variance_of(name) for name in names}
    epoch = np.arange(history.epochs)
    curves = {size: trained(size, epochs=10)[1]["loss"] for size in (1, 20, None)}
    return Shown(numbers, {"sgd-training": Chart(
        Panel(Line(epoch, history["loss"], label="training"), Line(epoch, losses, label="held out"),
              Rule(x=float(history.best_epoch)), x="epoch", y="cross-entropy",
              title="the best epoch comes back"),
        Panel(*(Line(np.arange(10), loss, label=f"batches of {size or 'all'}")
                for size, loss in curves.items()), x="epoch", y="training loss",
              title="smaller batches, more steps"),
        title="When to stop, and how many rows to take at once",
    )})  # fmt: skip


if __name__ == "__main__":
    print(sgd_training())
