"""Which options of a hub's constructors a name may carry: those that shape a network, by an allow-list.

A bundle's options come from whoever made the bundle, and hubs have options that open files, download, or run code
(`checkpoint_path`, `pretrained_cfg`, `cache_dir`).
"""

from collections.abc import Mapping
from typing import Any

from harmonic.errors import ZooError

_TORCHVISION = """
    attention_dropout aux_logits bn_size dilated drop_rate dropout groups growth_rate image_size init_weights
    layer_scale memory_efficient reduced_tail replace_stride_with_dilation stochastic_depth_prob transform_input
    width_mult width_per_group zero_init_residual
"""
_TIMM = """
    aa_layer act_layer attn_drop_rate attn_layer avg_down base_width block_args block_reduce_first bn_eps bn_momentum
    cardinality channels class_token conv_bias conv_mlp cross_attn depth depths dims down_kernel_size drop_block_rate
    drop_path_rate drop_rate dynamic_img_pad dynamic_img_size embed_dim exportable fc_norm final_norm fix_stem
    global_pool head_dropout head_hidden_size head_init_scale head_norm_first img_size init_values kernel_sizes layers
    ls_init_value mlp_ratio no_embed_class norm_eps norm_layer num_features num_heads output_stride pad_type
    patch_drop_rate patch_size pos_drop_rate pos_embed pre_norm proj_drop_rate qk_norm qkv_bias reg_tokens
    replace_stem_pool scriptable se_layer stem_kernel_size stem_size stem_type stem_width use_grn window_size
    zero_init_last
"""
TORCHVISION, TIMM = frozenset(_TORCHVISION.split()), frozenset(_TIMM.split())


def checked(name: str, options: Any, allowed: frozenset[str]) -> dict[str, Any]:
    """The options of a network; ZooError for one that is not on the list, or that is no plain value."""
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise ZooError(f"{name}: options are a table from names, not {options!r}.")
    for option, value in options.items():
        if option not in allowed:
            raise ZooError(
                f"{name} cannot be built with the option {option!r}: it is not among those that shape a network "
                f"({', '.join(sorted(allowed))}). Another one is for your own code: build the network and convert it."
            )
        if not _is_plain(value):
            raise ZooError(f"{name}: the option {option} is a number, word, list or table, not {value!r}.")
    return dict(options)


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(part) for key, part in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
