"""The comparison of the Adam paper
================================

Multinomial logistic regression by minibatches, as in section 6.1 of Kingma and Ba (2015): Adam beside AdaGrad, RMSprop and SGD with
Nesterov momentum, the same learning rates lr/sqrt(t) for all, three seeds each, everything else at its defaults. Left: the loss at the end
against the learning rate. Right: the loss of each method along the way, at its own best rate.
"""

import numpy as np
from matplotlib.figure import Figure

import mflow

birds = mflow.data.load_penguins()
classes = np.unique(birds.y, return_inverse=True)[1]
cost = mflow.objectives.Softmax(mflow.data.standardize(birds.X), classes, l2=1e-4, intercept=True)
task = mflow.Training(cost, cost.x0, epochs=20, batch_size=32, schedule=mflow.schedules.InverseSqrtLR)
methods = {"Adam": "adam", "AdaGrad": "adagrad", "RMSprop": "rmsprop", "SGD, Nesterov momentum": ("nesterov", {"momentum": 0.9})}
result = mflow.sweep(task, methods, lrs=10.0 ** np.arange(-4.0, 2.0, 0.5), seeds=range(3))
print(result.table())

figure = Figure(figsize=(11.0, 4.2), layout="constrained")
left, right = figure.subplots(1, 2)
mflow.plot.sweep(result, ax=left)
left.get_legend().remove()
mflow.plot.curves(result, ax=right)
figure.savefig("16_adam_paper.png", dpi=80)
