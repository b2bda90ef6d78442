package config

// Config is a run, complete: every key has a value.
type Config struct {
	Device     string     `yaml:"device" default:"auto" match:"^(auto|cpu|reference|cuda:[0-9]{1,3}|pjrt:.+)$" form:"auto, cpu, cuda:N, pjrt:PLUGIN or reference" doc:"Where the step runs; auto takes a GPU if there is one."`
	Threads    int        `yaml:"threads" range:"[0,4096]" aka:"num_threads n_threads" doc:"CPU threads; 0 is one for each core."`
	Model      Model      `yaml:"model" doc:"The base model."`
	Method     Method     `yaml:"method" aka:"peft adapter lora" doc:"What is trained."`
	Data       Data       `yaml:"data" aka:"dataset datasets" doc:"Records, and how they become tokens."`
	Train      Train      `yaml:"train" aka:"training" doc:"The loop."`
	Optim      Optim      `yaml:"optim" aka:"optimizer" doc:"The optimizer and its schedule."`
	Memory     Memory     `yaml:"memory" doc:"What the run may use."`
	Eval       Eval       `yaml:"eval" aka:"evaluation" doc:"Evaluation during the run."`
	Checkpoint Checkpoint `yaml:"checkpoint" aka:"save" doc:"Resumable states."`
	Log        Log        `yaml:"log" aka:"logging" doc:"What is recorded."`

	origins map[string]string // where the value of each key was given
}

// Model is the base model.
type Model struct {
	Path   string `yaml:"path" aka:"base_model model_name_or_path name" doc:"A Hugging Face model directory."`
	DType  string `yaml:"dtype" default:"auto" enum:"auto|f32|bf16" aka:"torch_dtype bf16 precision" doc:"The type computed in; auto is the checkpoint's, bf16 for f16."`
	Quant  string `yaml:"quant" default:"auto" qlora:"nf4" enum:"auto|none|nf4" aka:"quantization load_in_4bit bnb_4bit_quant_type" doc:"How the matrices of linear layers are stored: in four bits (nf4), in the type computed in (none), or as the checkpoint has them (auto)."`
	Double bool   `yaml:"double_quant" default:"true" aka:"bnb_4bit_use_double_quant" doc:"Quantise the scales of nf4 in turn; a checkpoint that is quantised keeps its own."`
}

// Method is what is trained. Type comes first: others depend on it.
type Method struct {
	Type          string             `yaml:"type" default:"lora" enum:"full|lora|qlora|prompt|ptuning|prefix|head" aka:"adapter finetuning_type" doc:"full trains every weight, lora a low-rank addition to linear layers, qlora the same over a base in four bits; prompt trains vectors before every sequence, ptuning a small network that gives them, prefix keys and values before every sequence in each layer, head a classifier on the base."`
	R             int                `yaml:"r" default:"16" range:"[1,65536]" only:"lora|head" aka:"rank lora_rank lora_r" doc:"Rank of the addition."`
	LoraAlpha     float64            `yaml:"lora_alpha" default:"32" range:"(0,1e6]" only:"lora|head" aka:"alpha" doc:"The addition is scaled by lora_alpha / r."`
	LoraDropout   float64            `yaml:"lora_dropout" range:"[0,1)" only:"lora|head" aka:"dropout" doc:"Dropout on the input of the addition."`
	Targets       Modules            `yaml:"target_modules" default:"all-linear" only:"lora|head" aka:"lora_target lora_target_modules target_linear" doc:"all-linear, a list of name endings, or a regular expression for the full name."`
	Exclude       Modules            `yaml:"exclude_modules" default:"[]" only:"lora|head" doc:"Taken out of target_modules; same rules."`
	UseRSLora     bool               `yaml:"use_rslora" only:"lora|head" aka:"rslora" doc:"Scale by lora_alpha / sqrt(r)."`
	RankPattern   map[string]int     `yaml:"rank_pattern" default:"{}" range:"[1,65536]" only:"lora|head" doc:"Another r for names matching a pattern."`
	AlphaPattern  map[string]float64 `yaml:"alpha_pattern" default:"{}" range:"(0,1e6]" only:"lora|head" doc:"Another lora_alpha for names matching a pattern."`
	UseDora       bool               `yaml:"use_dora" only:"lora|head" aka:"dora" doc:"Train the lengths of the rows of the adapted weights too (DoRA)."`
	LoraPlusRatio float64            `yaml:"lora_plus_ratio" range:"[0,1e6]" only:"lora|head" aka:"loraplus_lr_ratio" doc:"Learning rate of B over that of A (LoRA+); 0 is off, 16 is usual."`
	ModulesToSave []string           `yaml:"modules_to_save" default:"[]" only:"lora" aka:"additional_target" doc:"Modules trained whole beside the adapters, such as embed_tokens and lm_head."`
	Freeze        []string           `yaml:"freeze" default:"[]" only:"full" aka:"freeze_modules frozen_modules" doc:"Modules that stay as they are, such as embed_tokens or layers.0."`
	Init          string             `yaml:"init" default:"default" enum:"default|gaussian|pissa|pissa_niter_4|pissa_niter_16|vocab|text|random" only:"lora|prompt|prefix|head" aka:"init_lora_weights prompt_tuning_init" doc:"lora, how A begins: uniform as in PEFT (default), or normal with deviation 1/r (gaussian), and B zero; or both as the principal part of the weight (PiSSA), exact or by random projection. prompt and prefix, what virtual tokens begin as: drawn tokens of the vocabulary (vocab, the default), those of init_text (text), or random numbers."`
	InitText      string             `yaml:"init_text" only:"prompt|prefix" aka:"prompt_tuning_init_text" doc:"The text that virtual tokens begin as, repeated or cut to their number."`
	InitFrom      string             `yaml:"init_from" only:"lora|prompt|prefix|head" aka:"lora_model_dir adapter_name_or_path" doc:"An adapter directory to go on from."`
	Layers        []int              `yaml:"layers_to_transform" default:"[]" range:"[0,4095]" only:"lora|head" doc:"Only these layers; none given is all."`

	VirtualTokens    int  `yaml:"num_virtual_tokens" default:"20" range:"[1,1048576]" only:"prompt|ptuning|prefix" aka:"prompt_length prefix_length soft_prompt_length" doc:"Virtual tokens before every sequence."`
	PrefixProjection bool `yaml:"prefix_projection" only:"prefix" doc:"Train a small network that gives the prefix, instead of its numbers."`
	EncoderHidden    int  `yaml:"encoder_hidden_size" range:"[0,1048576]" only:"prefix|ptuning" doc:"Width of that network; 0 is the size of a virtual token."`

	ProblemType  string   `yaml:"problem_type" default:"auto" enum:"auto|single_label_classification|multi_label_classification|regression" only:"head" aka:"task" doc:"What the labels are; auto looks at those of the training records."`
	Labels       []string `yaml:"labels" default:"[]" only:"head" aka:"classes id2label" doc:"The classes in the order of their ids; none given is all of the training records, sorted."`
	Pooling      string   `yaml:"pooling" default:"auto" enum:"auto|last|cls|mean|max" only:"head" aka:"pooling_mode" doc:"Which states stand for a text; auto is last for decoders and cls for encoders."`
	Beneath      string   `yaml:"beneath" default:"frozen" enum:"frozen|lora" only:"head" doc:"What is trained below the head: nothing, or a LoRA with the keys of lora."`
	FeatureCache string   `yaml:"feature_cache" only:"head" doc:"Where the features of a frozen base are kept; default features in train.output_dir."`
}

// Data is what is trained on.
type Data struct {
	Train        []Source `yaml:"train" default:"[]" short:"path" aka:"datasets train_file path" doc:"Training files: a path, a list of paths, or a list of objects."`
	Eval         []Source `yaml:"eval" default:"[]" short:"path" aka:"test_datasets validation val eval_dataset" doc:"Evaluation files, as train."`
	ValSetSize   float64  `yaml:"val_set_size" range:"[0,1e9]" aka:"val_size eval_ratio" doc:"Records of train kept for evaluation: a share below 1, or a number of them."`
	Template     string   `yaml:"template" default:"tokenizer" aka:"chat_template" doc:"tokenizer (the model's own), a built-in name, or the path of a .jinja file."`
	TrainOn      string   `yaml:"train_on" default:"assistant" enum:"assistant|completion|last|all" aka:"train_on_inputs train_on_completions" doc:"Which tokens carry loss."`
	MaxSeqLength int      `yaml:"max_seq_length" default:"2048" range:"[1,16777216]" aka:"sequence_len seq_len cutoff_len max_length max_seq_len" doc:"Tokens of the longest sequence."`
	Packing      bool     `yaml:"packing" default:"true" head:"false" aka:"sample_packing" doc:"Fill a row with several records; they do not see each other."`
	ByLength     bool     `yaml:"group_by_length" aka:"length_grouped" doc:"Without packing: records of like length share a micro-batch."`
	OnOverflow   string   `yaml:"on_overflow" default:"error" enum:"error|truncate|split|drop" aka:"truncation overflow" doc:"What happens to a record longer than max_seq_length."`
	Shuffle      bool     `yaml:"shuffle" default:"true" doc:"A new order in each epoch."`
	OnError      string   `yaml:"on_error" default:"stop" enum:"stop|skip" doc:"What happens to a record that cannot be read."`
	Cache        string   `yaml:"cache" default:"auto" aka:"cache_dir dataset_prepared_path" doc:"Where tokenised rows are kept for the next run: auto (the user's cache directory), none, or a directory."`
	Preflight    string   `yaml:"preflight" default:"refuse" enum:"refuse|warn" doc:"What happens if no record trains the token that ends an answer, though it is there."`
}

// Source is a data file.
type Source struct {
	Path   string  `yaml:"path" required:"true" aka:"file name" doc:"A JSONL, JSON, CSV, TSV or Parquet file, plain or compressed, or a glob of them."`
	Format string  `yaml:"format" default:"auto" enum:"auto|messages|prompt_completion|text|alpaca|sharegpt|segments|tokens|preference|unpaired|classification" aka:"type formatting" doc:"The form of its records; auto tells each by its keys."`
	Weight float64 `yaml:"weight" default:"1" range:"(0,1e6]" doc:"How often its records are seen, relative to the others."`
}

// Train is the loop.
type Train struct {
	Epochs       int     `yaml:"num_epochs" default:"3" head:"5" range:"[0,1e6]" aka:"epochs num_train_epochs" doc:"Times through the data."`
	MaxSteps     int     `yaml:"max_steps" range:"[0,1e9]" aka:"steps iters" doc:"Steps after which to stop; 0 is num_epochs alone."`
	MicroBatch   int     `yaml:"micro_batch_size" default:"2" head:"32" range:"[1,1e6]" aka:"per_device_train_batch_size batch_size" doc:"Rows computed at once; it costs memory."`
	Accumulation int     `yaml:"gradient_accumulation_steps" default:"8" head:"1" range:"[1,1e6]" aka:"grad_accum" doc:"Micro-batches in a step."`
	Seed         int     `yaml:"seed" default:"42" range:"[0,9e18]" doc:"Of every random number of the run."`
	MaxGradNorm  float64 `yaml:"max_grad_norm" default:"1" range:"[0,1e9]" aka:"gradient_clipping clip" doc:"Longer gradients are scaled down to this; 0 is never."`
	Smoothing    float64 `yaml:"label_smoothing" range:"[0,1)" only:"full|lora|prompt|ptuning|prefix" aka:"label_smoothing_factor" doc:"Share of each target that is spread over the whole vocabulary. The evaluation has none."`
	ZLoss        float64 `yaml:"z_loss" range:"[0,1e3]" only:"full|lora|prompt|ptuning|prefix" aka:"z_loss_weight" doc:"Times logsumexp(logits)² added to the loss of each target token. The evaluation has none."`
	OutputDir    string  `yaml:"output_dir" aka:"out out_dir" doc:"The run directory."`
	MaxSkipped   int     `yaml:"max_skipped" default:"5" range:"[0,1e6]" doc:"Non-finite steps skipped before the run is given up."`
}

// Optim is the optimizer.
type Optim struct {
	Name         string     `yaml:"name" default:"adamw" enum:"adamw" aka:"optimizer optim type" doc:"The optimizer."`
	LearningRate float64    `yaml:"learning_rate" default:"2e-5" lora:"2e-4" head:"1e-3" prompt:"1e-2" ptuning:"1e-3" prefix:"1e-2" range:"(0,1]" aka:"lr" doc:"The highest of the schedule."`
	WeightDecay  float64    `yaml:"weight_decay" range:"[0,1]" doc:"Decoupled, as in AdamW."`
	Betas        [2]float64 `yaml:"betas" default:"[0.9,0.999]" range:"[0,1)" aka:"adam_betas" doc:"Decay of the two moments."`
	Eps          float64    `yaml:"eps" default:"1e-8" range:"(0,1]" aka:"adam_epsilon" doc:"Added to the root of the second moment."`
	State        string     `yaml:"state" default:"fp32" enum:"fp32|8bit" aka:"adamw_8bit" doc:"The moments: in float32, or in eight bits with a scale for each 256 (of parameters of at least 4096 elements)."`
	Scheduler    string     `yaml:"lr_scheduler" default:"cosine" enum:"linear|cosine|constant" aka:"lr_scheduler_type scheduler" doc:"The learning rate after warm-up."`
	WarmupRatio  float64    `yaml:"warmup_ratio" default:"0.03" range:"[0,1]" aka:"warmup" doc:"Share of the steps in which the rate rises from 0."`
	WarmupSteps  int        `yaml:"warmup_steps" range:"[0,1e9]" doc:"The same as a number of steps; then warmup_ratio is not used."`
}

// Memory is what the run may use.
type Memory struct {
	Limit         Size   `yaml:"limit" default:"auto" aka:"max_memory" doc:"auto is what the device has free; else as 24GiB. A plan beyond it is refused."`
	Checkpointing string `yaml:"checkpointing" default:"auto" enum:"none|full|auto" aka:"gradient_checkpointing" doc:"full runs each layer again in the backward pass instead of keeping it, auto as few as make the plan fit memory.limit. The step is the same to the bit."`
}

// Eval is the evaluation during the run.
type Eval struct {
	Every    int `yaml:"every" default:"200" range:"[0,1e9]" aka:"eval_steps steps" doc:"Steps between evaluations; 0 is only at the end."`
	Patience int `yaml:"early_stopping_patience" range:"[0,1e6]" aka:"early_stopping patience" doc:"Evaluations without a lower loss after which to stop; 0 is never."`
}

// Checkpoint is the saving of resumable states.
type Checkpoint struct {
	Every    int  `yaml:"every" default:"200" range:"[0,1e9]" aka:"save_steps steps" doc:"Steps between checkpoints; 0 is only at the end."`
	Keep     int  `yaml:"keep" default:"3" range:"[2,1e6]" aka:"save_total_limit" doc:"How many stay, besides the best."`
	LoadBest bool `yaml:"load_best" default:"true" aka:"load_best_model_at_end best" doc:"Write the step of the lowest evaluation loss, not the last."`
}

// Log is what is recorded.
type Log struct {
	Every       int  `yaml:"every" default:"1" range:"[1,1e9]" aka:"logging_steps steps" doc:"Steps between records."`
	JSONL       bool `yaml:"jsonl" default:"true" doc:"metrics.jsonl."`
	TensorBoard bool `yaml:"tensorboard" default:"true" doc:"TensorBoard event files."`
	HTML        bool `yaml:"html" default:"true" doc:"report.html."`
}
