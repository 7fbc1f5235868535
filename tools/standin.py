"""A stand-in for a CUDA device on a machine without one: real numbers, and an error wherever devices mix.

`install()` makes torch believe in one GPU. A tensor on it keeps its numbers on the CPU and says that it lies
on the device; whatever CUDA would refuse (a tensor or a generator of another device, `.numpy()`) raises what
torch would raise. It says nothing about speed or rounding. The program `gpu_check` asks a real one.
"""

import functools
from types import SimpleNamespace

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

aten = torch.ops.aten
NAME = "gpu"  # how torch calls the stand-in
ON = {}  # the device of each generator
READ = [0]  # how often a value was read back, for which a GPU would have been waited for
CPU_INDICES = {aten.index.Tensor, aten._unsafe_index.Tensor}  # CUDA takes positions that lie on the CPU
SCALARS = ("where", "masked_fill", "masked_fill_", "index_put_", "lerp_", "fill_")
RealGenerator, RealDevice = torch.Generator, torch.device


class Module:
    """What torch asks of a backend."""

    is_initialized = is_available = staticmethod(lambda: True)
    current_device = staticmethod(lambda: 0)
    device_count = staticmethod(lambda: 1)
    _is_in_bad_fork = staticmethod(lambda: False)
    manual_seed_all = set_device = synchronize = set_rng_state = staticmethod(lambda *a, **k: None)
    get_rng_state = staticmethod(lambda *a, **k: torch.zeros(16, dtype=torch.uint8))
    get_amp_supported_dtype = staticmethod(lambda: [torch.bfloat16, torch.float16])
    _lazy_init = staticmethod(lambda: None)


class Tensor(torch.Tensor):
    """A tensor on the stand-in: `numbers` has its values on the CPU."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, numbers, requires_grad=False):
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            numbers.size(),
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            layout=numbers.layout,
            device=RealDevice(NAME, 0),
            requires_grad=requires_grad,
        )
        made.numbers = numbers.detach()
        return made

    def __repr__(self, **options):
        return f"{self.numbers!r} on the stand-in"

    def tolist(self):
        return self.numbers.tolist()

    def __format__(self, spec):
        return format(self.item(), spec) if self.dim() == 0 else object.__format__(self, spec)

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            memo[id(self)] = copy = Tensor(self.numbers.clone(), self.requires_grad)
            if getattr(self, "_is_param", False):
                copy._is_param = True
        return memo[id(self)]

    def __reduce_ex__(self, protocol):
        return self.numbers.__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return compute(function, args, kwargs or {})


class Generator(RealGenerator):
    """A generator that knows on which device it draws."""

    def __new__(cls, device="cpu"):
        made = super().__new__(cls, "cpu")
        ON[made._cdata] = RealDevice(NAME, 0) if there(Device(device)) else RealDevice("cpu")
        return made

    def __init__(self, device="cpu"):
        pass

    @property
    def device(self):
        return ON[self._cdata]


class Mode(TorchDispatchMode):
    """Sees every operation, also those that make a tensor out of nothing."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return compute(function, args, kwargs or {})


class Kind(type):
    """So that isinstance(x, torch.device) stays what it is."""

    def __instancecheck__(cls, instance):
        return isinstance(instance, RealDevice)


class Device(metaclass=Kind):
    """torch.device, for which "cuda" is the stand-in; the C++ below would ask the driver for that name."""

    def __new__(cls, kind="cpu", index=None):
        kind = str(kind).replace("cuda", NAME)
        return RealDevice(kind) if index is None else RealDevice(kind, index)


def there(device):
    """True for the stand-in's device."""
    return device is not None and device.type == NAME


def numbers(x):
    """The values of a tensor wherever it lies; anything else unchanged."""
    return x.numbers if isinstance(x, Tensor) else x


def wrapped(x):
    """A tensor brought to the stand-in; anything else unchanged."""
    return Tensor(x) if isinstance(x, torch.Tensor) and not isinstance(x, Tensor) else x


def compute(function, args, kwargs):
    """One operation of torch: refused where CUDA would refuse it, else computed on the CPU."""
    leaves = tree_leaves((args, kwargs))
    tensors = [x for x in leaves if isinstance(x, torch.Tensor)]
    device = kwargs.get("device")
    device = None if device is None else Device(device)
    mine = any(isinstance(x, Tensor) for x in tensors)
    generator = next((x for x in leaves if isinstance(x, RealGenerator)), None)
    READ[0] += mine and function == aten._local_scalar_dense.default
    if function == aten.copy_.default:
        READ[0] += isinstance(args[1], Tensor) and not isinstance(args[0], Tensor)
        numbers(args[0]).copy_(numbers(args[1]))
        return args[0]
    if function == aten._to_copy.default:
        return moved(args[0], device, kwargs)
    target = there(device) or (mine and device is None)
    if generator is not None and there(ON.get(generator._cdata)) != target:
        want = "cuda" if target else "cpu"
        raise RuntimeError(f"Expected a '{want}' device type for generator but found another ({function})")
    if mine:
        refuse_mixed(function, tensors, args)
    if there(device):
        kwargs = dict(kwargs, device=RealDevice("cpu"))
    answer = function(*tree_map(numbers, args), **tree_map(numbers, kwargs))
    if not target or function == aten._local_scalar_dense.default:
        return answer
    written = [
        kwargs.get(s.name) if s.name in kwargs else args[i]
        for i, s in enumerate(function._schema.arguments)
        if s.alias_info is not None and s.alias_info.is_write and (s.name in kwargs or i < len(args))
    ]
    returns = function._schema.returns
    if len(returns) == 1 and returns[0].alias_info is not None and returns[0].alias_info.is_write:
        return written[0]  # in place, and out=
    return tree_map(wrapped, answer)


def moved(x, device, kwargs):
    """`to`: another dtype, layout or device."""
    options = {key: value for key, value in kwargs.items() if key not in ("device", "pin_memory")}
    copy = aten._to_copy.default(numbers(x), **options)
    READ[0] += isinstance(x, Tensor) and device is not None and not there(device)
    return Tensor(copy) if there(device) or (device is None and isinstance(x, Tensor)) else copy


def refuse_mixed(function, tensors, args):
    """RuntimeError where CUDA would not take a tensor that lies on the CPU."""
    elsewhere = [x for x in tensors if not isinstance(x, Tensor)]
    name = function._schema.name.removeprefix("aten::")
    if not elsewhere or (function in CPU_INDICES and isinstance(args[0], Tensor)):
        return
    if name == "index_put_" and isinstance(args[0], Tensor) and isinstance(args[2], Tensor):
        return
    if all(x.dim() == 0 for x in elsewhere) and (torch.Tag.pointwise in function.tags or name in SCALARS):
        return
    raise RuntimeError(
        f"Expected all tensors to be on the same device, but found cuda:0 and cpu! (in {name})"
    )


@functools.cache
def install():
    """Makes torch believe in one GPU, for this process; once."""
    import torch._dynamo  # it looks at all functions of torch once, and would stumble over these

    _setup_privateuseone_for_python_backend(NAME, backend_module=Module())
    torch._C._set_only_lift_cpu_tensors(True)
    torch.autograd.set_multithreading_enabled(False)  # a mode is seen by its own thread alone
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    nothing = lambda *a, **k: None  # noqa: E731
    for name, answer in {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "is_bf16_supported": lambda including_emulation=True: True,
        "get_device_name": lambda *a: "stand-in",
        "get_device_capability": lambda *a: (9, 0),
        "get_arch_list": lambda: ["sm_90"],
        "get_device_properties": lambda *a: SimpleNamespace(name="stand-in", total_memory=15 * 2**30),
        "max_memory_allocated": lambda *a: 0,
        "get_rng_state": Module.get_rng_state,
        "get_rng_state_all": lambda: [],
        **dict.fromkeys(("_lazy_init", "set_device", "synchronize", "empty_cache", "set_rng_state"), nothing),
        "reset_peak_memory_stats": nothing,
    }.items():
        setattr(torch.cuda, name, answer)
    torch.Generator, torch.device = Generator, Device
    for name in ("numpy", "__array__"):
        setattr(torch.Tensor, name, refusing(getattr(torch.Tensor, name)))
    mode = Mode()
    mode.__enter__()
    return mode


def refusing(method):
    """A method of a tensor that does not work on the device."""

    def on_the_cpu_only(self, *args, **options):
        if isinstance(self, Tensor):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")
        return method(self, *args, **options)

    return on_the_cpu_only
