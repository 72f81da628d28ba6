"""Recipes: what the command line trains, and what users copy and change.

A recipe is a module of one topic, whose parts the commands call:

    Config                                     a frozen dataclass, the settings
    SMOKE                                      those to try it with, in half a minute
    inputs(config)                             shape and dtype of one example of its input
    build(config)                              the model
    objective(config), optimizer(config, steps)
    examples(config)                           (training, validation), validation None for none
    test(config, variables)                    print and return the scores on what was held out
    main(config)                               train, then test
"""

from ._registry import RECIPES as RECIPES
